//! A request for an operation, sound or broken at one place or several.

use std::fmt::Write as _;

use http::Method;
use rand::{Rng as _, seq::IndexedRandom as _};
use serde_json::{Value, json};

use super::document::Operation;
use super::request::Request;
use super::values::Draw;

impl Draw<'_> {
    /// Half of them sound, the others broken once or more.
    pub fn request(&mut self, operation: &Operation) -> Request {
        if operation.method != Method::GET
            && self.rng.random_bool(0.05)
            && !self.known.keyed.is_empty()
        {
            return self.repetition(operation);
        }
        let mut request = self.sound(operation);
        if self.rng.random_bool(0.5) {
            let breaks = self.rng.random_range(1..3);
            (0..breaks).for_each(|_| self.break_one(operation, &mut request));
        }
        request
    }

    /// A write that was done already, as it was or changed, or another under its key.
    fn repetition(&mut self, operation: &Operation) -> Request {
        let done =
            self.known.keyed.choose(self.rng).cloned().unwrap_or_else(|| self.sound(operation));
        if self.rng.random_bool(0.5) {
            return done;
        }
        let mut other = self.sound(operation);
        other.set("idempotency-key", done.header("idempotency-key").unwrap_or_default());
        other
    }

    fn sound(&mut self, operation: &Operation) -> Request {
        let mut path = operation.path.clone();
        let mut query = String::new();
        let mut headers =
            vec![("authorization", format!("Bearer {}", self.known.token).into_bytes())];
        for parameter in &operation.parameters {
            match parameter.place.as_str() {
                "path" => {
                    let value = plain(&self.value(&parameter.name, &parameter.schema));
                    path = path
                        .replace(&format!("{{{}}}", parameter.name), &encoded(value.as_bytes()));
                }
                "query" if self.rng.random_bool(0.5) => {
                    let value = plain(&self.value(&parameter.name, &parameter.schema));
                    add(&mut query, &parameter.name, &value);
                }
                "header" if self.rng.random_bool(0.7) => {
                    headers.push((
                        "idempotency-key",
                        format!("key-{:x}", self.rng.random::<u64>()).into(),
                    ));
                }
                _ => {}
            }
        }
        let mut body = Vec::new();
        if let Some(schema) = &operation.body {
            body = self.value("", schema).to_string().into_bytes();
            headers.push(("content-type", b"application/json".to_vec()));
        }
        Request { method: operation.method.clone(), target: path + &query, headers, body }
    }

    fn break_one(&mut self, operation: &Operation, request: &mut Request) {
        match self.rng.random_range(0..20) {
            0..4 => self.break_field(operation, request),
            4..6 => self.break_text(request),
            6..9 => self.break_path(operation, request),
            9..12 => self.break_query(operation, request),
            12..14 => self.break_key(request),
            14..16 => self.break_token(request),
            16..18 => self.break_kind(request),
            18 => request.method = self.other_method(),
            _ => {
                let length = *[70_000, 1 << 20, (1 << 20) + 1].choose(self.rng).unwrap_or(&0);
                request.body = vec![b' '; length];
            }
        }
    }

    fn break_field(&mut self, operation: &Operation, request: &mut Request) {
        let Ok(Value::Object(mut body)) = serde_json::from_slice(&request.body) else { return };
        let schema = operation.body.as_ref().unwrap_or(&Value::Null);
        let fields: Vec<_> = schema["properties"].as_object().into_iter().flatten().collect();
        let Some((name, schema)) = fields.choose(self.rng) else {
            request.body = json!({self.odd(): self.wrong()}).to_string().into();
            return;
        };
        match self.rng.random_range(0..6) {
            0 => drop(body.remove(*name)),
            1 => drop(body.insert((*name).clone(), self.wrong())),
            2 => drop(body.insert((*name).clone(), self.odd().into())),
            3 => drop(body.insert(self.odd().to_owned(), self.wrong())),
            _ => drop(body.insert((*name).clone(), self.edge(schema))),
        }
        request.body = Value::Object(body).to_string().into();
    }

    /// No JSON any more, or not quite.
    fn break_text(&mut self, request: &mut Request) {
        let text = &mut request.body;
        let at = self.rng.random_range(0..=text.len());
        match self.rng.random_range(0..9) {
            0 => text.truncate(at),
            1 => text.insert(at, 0),
            2 => text.insert(at, 0xff),
            3 => text.insert(at, self.rng.random()),
            4 => text.extend_from_slice(b"{}"),
            5 => *text = "[".repeat(10_000).into(),
            6 => *text = r#"{"a":"#.repeat(500).into(),
            7 => *text = br#"{"name":"a","name":"b","title":1e999,"email":"\ud800"}"#.to_vec(),
            _ => *text = self.wrong().to_string().into(),
        }
    }

    fn break_path(&mut self, operation: &Operation, request: &mut Request) {
        let odd = self.odd();
        let wrong = [
            "0".to_owned(),
            "-1".to_owned(),
            "9223372036854775807".to_owned(),
            "9223372036854775808".to_owned(),
            "1e3".to_owned(),
            "+1".to_owned(),
            "%00".to_owned(),
            "%ff".to_owned(),
            "%".to_owned(),
            "%zz".to_owned(),
            "1%2F2".to_owned(),
            "..".to_owned(),
            "%2e%2e".to_owned(),
            ";".to_owned(),
            "x".repeat(3_000),
            encoded(odd.as_bytes()),
        ];
        let value = wrong.choose(self.rng).map_or("", String::as_str);
        let (path, query) = request.target.split_once('?').unwrap_or((&request.target, ""));
        let places: Vec<_> = operation
            .path
            .split('/')
            .enumerate()
            .filter(|(_, part)| part.starts_with('{'))
            .collect();
        let mut parts: Vec<_> = path.split('/').collect();
        match places.choose(self.rng) {
            Some((place, _)) if *place < parts.len() => parts[*place] = value,
            _ => parts.push(value),
        }
        let path = parts.join("/");
        request.target = if query.is_empty() { path } else { format!("{path}?{query}") };
    }

    fn break_query(&mut self, operation: &Operation, request: &mut Request) {
        let names: Vec<_> = operation.parameters.iter().filter(|p| p.place == "query").collect();
        let odd = self.odd();
        let name = names.choose(self.rng).map_or(odd, |parameter| parameter.name.as_str());
        let mut query = String::new();
        for _ in 0..self.rng.random_range(1..3) {
            let value = match self.rng.random_range(0..4) {
                0 => plain(&self.edge_integer_of(&names)),
                1 => plain(&self.wrong()),
                2 => [
                    "MTIz",
                    "LTE",
                    "OTIyMzM3MjAzNjg1NDc3NTgwNw",
                    "OTIyMzM3MjAzNjg1NDc3NTgwOA",
                    "AA",
                    "_w",
                    "=",
                    "!!",
                ]
                .choose(self.rng)
                .map_or(String::new(), |token| (*token).to_owned()),
                _ => odd.to_owned(),
            };
            add(&mut query, name, &value);
        }
        if self.rng.random_bool(0.2) {
            query.push_str(
                ["&", "&&=", "&%", "&%ff=%00", "&a.b.c=1", "&a%00=1"]
                    .choose(self.rng)
                    .unwrap_or(&"&"),
            );
        }
        let path = request.target.split('?').next().unwrap_or_default();
        request.target = format!("{path}{query}");
    }

    fn edge_integer_of(&mut self, names: &[&super::document::Parameter]) -> Value {
        let schema =
            names.choose(self.rng).map_or(Value::Null, |parameter| parameter.schema.clone());
        self.edge(&schema)
    }

    fn break_key(&mut self, request: &mut Request) {
        match self.rng.random_range(0..5) {
            0 => request.unset("idempotency-key"),
            1 => request.set("idempotency-key", "k".repeat(255)),
            2 => request.set("idempotency-key", "k".repeat(256)),
            3 => request.set("idempotency-key", ""),
            _ => request.set("idempotency-key", "schlüssel\tü\u{80}"),
        }
    }

    fn break_token(&mut self, request: &mut Request) {
        let token = &self.known.token;
        let values = [
            Vec::new(),
            b"Bearer".to_vec(),
            b"Bearer ".to_vec(),
            b"Bearer unknown".to_vec(),
            b"Basic dTpw".to_vec(),
            b"Bearer \xff\xfe".to_vec(),
            format!("Bearer {token}x").into_bytes(),
            format!("bearer  {token} ").into_bytes(),
            format!("Bearer {}", self.known.stranger).into_bytes(),
            format!("Bearer {}", "t".repeat(8_000)).into_bytes(),
            b"Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.".to_vec(),
        ];
        match self.rng.random_range(0..=values.len()) {
            0 => request.unset("authorization"),
            n => request.set("authorization", values[n - 1].clone()),
        }
    }

    fn break_kind(&mut self, request: &mut Request) {
        let kinds: [&[u8]; 7] = [
            b"text/plain",
            b"application/xml",
            b"application/x-www-form-urlencoded",
            b"multipart/form-data; boundary=x",
            b"application/json; charset=utf-16",
            b"\xff",
            b"",
        ];
        match self.rng.random_range(0..=kinds.len()) {
            0 => request.unset("content-type"),
            n => request.set("content-type", kinds[n - 1]),
        }
        if self.rng.random_bool(0.3) {
            request.set(
                "accept",
                ["text/html", "application/grpc", "*/*;q=0"]
                    .choose(self.rng)
                    .copied()
                    .unwrap_or(""),
            );
            request.set("content-encoding", "gzip");
        }
    }

    fn other_method(&mut self) -> Method {
        let methods = [
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PUT,
            Method::PATCH,
            Method::DELETE,
            Method::OPTIONS,
        ];
        methods.choose(self.rng).cloned().unwrap_or_default()
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn add(query: &mut String, name: &str, value: &str) {
    query.push(if query.is_empty() { '?' } else { '&' });
    // A target of more than 8 KiB is refused as such; a head of more than 32 KiB has a refusal without a document.
    let most = value.char_indices().nth(700).map_or(value.len(), |(at, _)| at);
    let value = encoded(&value.as_bytes()[..most]);
    let _ = write!(query, "{}={value}", encoded(name.as_bytes()));
}

fn encoded(bytes: &[u8]) -> String {
    let mut text = String::new();
    for &byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}
