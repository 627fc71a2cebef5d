//! Values by their schemas, and values that are none of it.

use rand::{Rng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Map, Value, json};

use super::document::Document;
use super::known::{Known, PASSWORD};

/// What a program may stumble over.
const ODD: [&str; 18] = [
    "",
    " ",
    "\0",
    "a\0b",
    "\u{1}\u{7f}",
    "\r\nX: y",
    "é",
    "e\u{301}",
    "\u{202e}txet",
    "\u{feff}",
    "\u{ffff}",
    "😀👩‍👩‍👧",
    "İıſß",
    "'; DROP TABLE users; --",
    "%00%ff%s%n${7*7}",
    "../../etc/passwd",
    "@1 @@ @99999999999999999999 @-1",
    "null",
];

pub struct Draw<'a> {
    pub document: &'a Document,
    pub known: &'a Known,
    pub rng: &'a mut StdRng,
}

impl Draw<'_> {
    /// A value that the schema takes, and that means something as often as can be.
    pub fn value(&mut self, name: &str, schema: &Value) -> Value {
        let document = self.document;
        let schema = document.resolved(schema);
        if let Some(names) = schema["enum"].as_array() {
            return names.choose(self.rng).cloned().unwrap_or_default();
        }
        match schema["type"].as_str() {
            Some("object") => self.object(schema),
            Some("array") => {
                let count = self.rng.random_range(0..4);
                (0..count).map(|_| self.value(name, &schema["items"])).collect()
            }
            Some("boolean") => self.rng.random_bool(0.5).into(),
            Some("integer") => self.integer(name),
            _ => self.text(name).into(),
        }
    }

    fn object(&mut self, schema: &Value) -> Value {
        let mut object = Map::new();
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if self.rng.random_bool(0.9) {
                object.insert(name.clone(), self.value(name, schema));
            }
        }
        object.into()
    }

    fn integer(&mut self, name: &str) -> Value {
        if name == "page_size" {
            return self.rng.random_range(0..=101).into();
        }
        if self.rng.random_bool(0.95)
            && let Some(known) = self.known.recall(name, self.rng)
        {
            return known;
        }
        self.rng.random_range(0..1_000).into()
    }

    fn text(&mut self, name: &str) -> String {
        let number: u32 = self.rng.random();
        match name {
            "password" => PASSWORD.to_owned(),
            "email" if self.rng.random_bool(0.5) => format!("generated-{number}@example.org"),
            "email" => self.known.email.clone(),
            "page_token" if self.rng.random_bool(0.5) => String::new(),
            "page_token" => {
                let known = self.known.recall(name, self.rng);
                known.and_then(|token| Some(token.as_str()?.to_owned())).unwrap_or_default()
            }
            "body" => {
                let person = self.known.recall("user_id", self.rng).unwrap_or_default();
                format!("words {number} for @{person}")
            }
            _ if self.rng.random_bool(0.2) => {
                format!("{number} {}", self.odd().replace(char::is_control, ""))
            }
            _ => format!("words {number}"),
        }
    }

    pub fn odd(&mut self) -> &'static str {
        ODD.choose(self.rng).copied().unwrap_or_default()
    }

    /// A value at the edge of its type, or just beyond.
    pub fn edge(&mut self, schema: &Value) -> Value {
        let document = self.document;
        let schema = document.resolved(schema);
        match schema["type"].as_str() {
            Some("integer") => self.edge_integer(),
            Some("string") if schema.get("enum").is_none() => {
                let length =
                    *[0, 1, 15, 16, 200, 201, 254, 255, 256, 257, 500, 501, 20_000, 20_001]
                        .choose(self.rng)
                        .unwrap_or(&0);
                let letter = *["x", "é", "😀", " ", "\0", "@"].choose(self.rng).unwrap_or(&"x");
                letter.repeat(length).into()
            }
            Some("array") => {
                let count = *[0, 1, 100, 5_000].choose(self.rng).unwrap_or(&0);
                let item = self.value("", &schema["items"]);
                vec![item; count].into()
            }
            _ => self.wrong(),
        }
    }

    fn edge_integer(&mut self) -> Value {
        let edges = [
            json!(0),
            json!(-1),
            json!(1),
            json!(100),
            json!(101),
            json!(i32::MAX),
            json!(i32::MIN),
            json!(i64::from(i32::MAX) + 1),
            json!(i64::MAX),
            json!(i64::MIN),
            json!(u64::MAX),
            json!(1e300),
            json!(0.5),
            json!(-0.0),
            json!("9223372036854775808"),
        ];
        edges.choose(self.rng).cloned().unwrap_or_default()
    }

    /// A value of any type, as often as not another than is asked for.
    pub fn wrong(&mut self) -> Value {
        let odd = self.odd();
        let values = [
            Value::Null,
            json!(true),
            json!(7),
            json!(-3.5),
            json!(f64::MAX),
            json!(odd),
            json!("7"),
            json!([]),
            json!([[odd]]),
            json!({}),
            json!({odd: odd}),
            json!({"id": {"id": null}}),
            json!("KIND_UNKNOWN"),
            json!("TASK_STATE_UNSPECIFIED"),
            json!(99),
        ];
        values.choose(self.rng).cloned().unwrap_or_default()
    }
}
