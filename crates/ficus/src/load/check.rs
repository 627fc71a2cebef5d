//! What an answer must be besides its status.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use ficus_load::{Check, messages};
use prost_reflect::{DynamicMessage, MessageDescriptor, SerializeOptions};
use serde_json::Value;

use super::openapi::Answers;

/// What an answer's body is.
#[derive(Debug, Clone)]
pub(super) enum Form {
    /// Whatever an HTTP target says; described if it was asked for one of its operations.
    Http(Option<Arc<Answers>>),
    /// Messages of this kind; of a stream any number of them.
    Grpc { kind: MessageDescriptor, streams: bool },
}

/// `schema` (as the target describes it), `/place` (it is there, in JSON), `/place=value`, or a text that is in it;
/// reports call it by what was written before names were filled in. Fails at what can never be.
pub(super) fn check(written: &str, text: &str, form: &Form) -> anyhow::Result<Check> {
    ensure!(
        !text.is_empty(),
        "an empty check says nothing; say schema, /place, /place=value or a text"
    );
    if text == "schema" {
        return schema(form);
    }
    let form = form.clone();
    if !text.starts_with('/') {
        let wanted = text.to_owned();
        return Ok(Check::new(format!("check {written}"), move |_, body| {
            let said = form.text(body)?;
            if said.contains(&wanted) { Ok(()) } else { Err(format!("not in {}", short(&said))) }
        }));
    }
    let (place, value) = match text.split_once('=') {
        Some((place, value)) => (place.to_owned(), Some(value.to_owned())),
        None => (text.to_owned(), None),
    };
    Ok(Check::new(format!("check {written}"), move |_, body| {
        let answer = form.json(body)?;
        let there = answer.pointer(&place).filter(|there| !there.is_null());
        let there = there.ok_or_else(|| format!("not there in {}", short(&answer.to_string())))?;
        match &value {
            Some(value) if !is(there, value) => Err(format!("it is {}", short(&there.to_string()))),
            _ => Ok(()),
        }
    }))
}

fn schema(form: &Form) -> anyhow::Result<Check> {
    let form = form.clone();
    if let Form::Http(described) = &form {
        let described = described.clone().context(
            "check schema is for what a target describes: gRPC, or an --operation of its /openapi.json",
        )?;
        return Ok(Check::new("schema".to_owned(), move |status, body| {
            described.fit(status, body)
        }));
    }
    Ok(Check::new("schema".to_owned(), move |_, body| form.json(body).map(drop)))
}

/// A text as it is, all else as JSON.
fn is(there: &Value, value: &str) -> bool {
    match there {
        Value::String(text) => text == value,
        other => serde_json::from_str(value).is_ok_and(|value: Value| value == *other),
    }
}

impl Form {
    fn text(&self, body: &[u8]) -> Result<String, String> {
        match self {
            Self::Http(_) => Ok(String::from_utf8_lossy(body).into_owned()),
            Self::Grpc { .. } => self.json(body).map(|json| json.to_string()),
        }
    }

    /// As JSON; a stream as a list.
    fn json(&self, body: &[u8]) -> Result<Value, String> {
        let Self::Grpc { kind, streams } = self else {
            return serde_json::from_slice(body).map_err(|error| format!("no JSON: {error}"));
        };
        let read = |message| decoded(kind, message);
        let mut all = messages(body)?.into_iter().map(read).collect::<Result<Vec<_>, _>>()?;
        match (streams, all.pop()) {
            (false, Some(message)) => Ok(message),
            (_, last) => Ok(all.into_iter().chain(last).collect()),
        }
    }
}

fn decoded(kind: &MessageDescriptor, message: &[u8]) -> Result<Value, String> {
    let all = SerializeOptions::new().skip_default_fields(false);
    DynamicMessage::decode(kind.clone(), message)
        .map_err(|error| format!("no {}: {error}", kind.full_name()))?
        .serialize_with_options(serde_json::value::Serializer, &all)
        .map_err(|error| format!("no {}: {error}", kind.full_name()))
}

fn short(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    fn failed(check_of: &str, form: &Form, body: &[u8]) -> Option<String> {
        check(check_of, check_of, form).expect("a check").fails(StatusCode::OK, body)
    }

    #[test]
    fn an_answer_in_json_has_what_is_asked_for() {
        let body = br#"{"id": "7", "unread": 0, "items": [{"title": "Stay calm"}], "gone": null}"#;
        let http = Form::Http(None);
        for holds in [
            "/id",
            "/id=7",
            "/unread=0",
            "/items/0/title=Stay calm",
            "Stay calm",
            "/items=[{\"title\":\"Stay calm\"}]",
        ] {
            assert_eq!(failed(holds, &http, body), None, "{holds}");
        }
        for (fails, said) in [
            ("/id=8", "it is \"7\""),
            ("/unread=1", "it is 0"),
            ("/gone", "not there in {"),
            ("/items/1", "not there in {"),
            ("Panic", "not in {"),
        ] {
            let told = failed(fails, &http, body).expect(fails);
            assert!(told.starts_with(said), "{told}");
        }
        assert!(failed("/id", &http, b"<html>").expect("no JSON").starts_with("no JSON: "));
    }

    #[test]
    fn a_grpc_answer_is_read_as_its_kind() {
        let pool = prost_reflect::DescriptorPool::decode(tonic_health::pb::FILE_DESCRIPTOR_SET);
        let kind = pool.expect("a pool").get_message_by_name("grpc.health.v1.HealthCheckResponse");
        let unary = Form::Grpc { kind: kind.expect("a kind"), streams: false };
        let serving = [0, 0, 0, 0, 2, 8, 1];
        assert_eq!(failed("/status=SERVING", &unary, &serving), None);
        assert_eq!(failed("schema", &unary, &serving), None);
        assert_eq!(
            failed("/status=SERVING", &unary, &[0; 5]),
            Some("it is \"UNKNOWN\"".to_owned())
        );
        let other = failed("schema", &unary, &[0, 0, 0, 0, 2, 10, 1]).expect("no such message");
        assert!(other.starts_with("no grpc.health.v1.HealthCheckResponse: "), "{other}");
        let Form::Grpc { kind, .. } = unary else { unreachable!() };
        let stream = Form::Grpc { kind, streams: true };
        assert_eq!(
            failed("/1/status=SERVING", &stream, &[[0; 5].as_slice(), &serving].concat()),
            None
        );
    }

    #[test]
    fn what_can_never_be_is_told() {
        let of = |text| format!("{:#}", check(text, text, &Form::Http(None)).expect_err(text));
        assert!(of("").contains("say schema, /place"));
        assert!(of("schema").contains("an --operation"));
    }
}
