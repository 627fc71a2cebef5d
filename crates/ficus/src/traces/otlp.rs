//! OTLP JSON to spans, as the specification writes it and as Tempo does: ids in hexadecimal digits or base64,
//! enums by number or name, 64-bit integers as strings or numbers, the list under one of three keys.

use std::fmt::Write as _;

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

/// One thing that was done.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Span {
    /// 16 hexadecimal digits.
    pub id: String,
    pub parent: Option<String>,
    pub links: Vec<Link>,
    pub trace: String,
    pub service: String,
    pub name: String,
    /// `server`, `client`, `producer`, `consumer`, `internal` or empty.
    pub kind: &'static str,
    /// Nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    pub attributes: Map<String, Value>,
    /// `unset`, `ok` or `error`.
    pub status: &'static str,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub trace: String,
    pub span: String,
}

/// The spans of an answer; none if it holds none.
pub(super) fn spans(answer: &Value) -> anyhow::Result<Vec<Span>> {
    let lists = [&answer["batches"], &answer["resourceSpans"], &answer["trace"]["resourceSpans"]];
    let mut spans = Vec::new();
    for resource in lists.into_iter().flat_map(list) {
        let about = attributes(&resource["resource"]["attributes"]);
        let service =
            about.get("service.name").and_then(Value::as_str).unwrap_or("unknown_service");
        for one in list(&resource["scopeSpans"]).iter().flat_map(|scope| list(&scope["spans"])) {
            spans.push(span(one, service).with_context(|| format!("a span is malformed: {one}"))?);
        }
    }
    Ok(spans)
}

fn span(one: &Value, service: &str) -> Option<Span> {
    Some(Span {
        id: id(&one["spanId"], 16)?,
        parent: id(&one["parentSpanId"], 16),
        links: list(&one["links"]).iter().filter_map(link).collect(),
        trace: id(&one["traceId"], 32)?,
        service: service.to_owned(),
        name: text(&one["name"]).to_owned(),
        kind: kind(&one["kind"]),
        start: number(&one["startTimeUnixNano"])?,
        end: number(&one["endTimeUnixNano"])?,
        attributes: attributes(&one["attributes"]),
        status: status(&one["status"]["code"]),
        message: text(&one["status"]["message"]).to_owned(),
    })
}

fn link(link: &Value) -> Option<Link> {
    Some(Link { trace: id(&link["traceId"], 32)?, span: id(&link["spanId"], 16)? })
}

/// An id of so many digits; `None` for an absent one, or one that is all zero.
fn id(value: &Value, digits: usize) -> Option<String> {
    let text = value.as_str()?;
    let id = if text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        text.to_ascii_lowercase()
    } else {
        let bytes = STANDARD.decode(text).ok().filter(|bytes| 2 * bytes.len() == digits)?;
        bytes.iter().fold(String::new(), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        })
    };
    id.bytes().any(|byte| byte != b'0').then_some(id)
}

fn kind(value: &Value) -> &'static str {
    match (value.as_u64(), value.as_str()) {
        (Some(1), _) | (_, Some("SPAN_KIND_INTERNAL")) => "internal",
        (Some(2), _) | (_, Some("SPAN_KIND_SERVER")) => "server",
        (Some(3), _) | (_, Some("SPAN_KIND_CLIENT")) => "client",
        (Some(4), _) | (_, Some("SPAN_KIND_PRODUCER")) => "producer",
        (Some(5), _) | (_, Some("SPAN_KIND_CONSUMER")) => "consumer",
        _ => "",
    }
}

fn status(value: &Value) -> &'static str {
    match (value.as_u64(), value.as_str()) {
        (Some(1), _) | (_, Some("STATUS_CODE_OK")) => "ok",
        (Some(2), _) | (_, Some("STATUS_CODE_ERROR")) => "error",
        _ => "unset",
    }
}

fn attributes(all: &Value) -> Map<String, Value> {
    let pair = |one: &Value| Some((one["key"].as_str()?.to_owned(), plain(&one["value"])));
    list(all).iter().filter_map(pair).collect()
}

/// An attribute's value without its type.
fn plain(value: &Value) -> Value {
    let Some((kind, value)) = value.as_object().and_then(|all| all.iter().next()) else {
        return Value::Null;
    };
    match kind.as_str() {
        "intValue" => value
            .as_str()
            .and_then(|digits| digits.parse::<i64>().ok())
            .map_or_else(|| value.clone(), Into::into),
        "arrayValue" => list(&value["values"]).iter().map(plain).collect(),
        "kvlistValue" => Value::Object(attributes(&value["values"])),
        _ => value.clone(),
    }
}

/// Protobuf's JSON writes 64-bit integers as strings.
pub(super) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn expected() -> Span {
        Span {
            id: "00f067aa0ba902b7".to_owned(),
            parent: Some("0102030405060708".to_owned()),
            links: vec![Link { trace: "0a".repeat(16), span: "0102030405060708".to_owned() }],
            trace: "4bf92f3577b34da6a3ce929d0e0e4736".to_owned(),
            service: "gateway".to_owned(),
            name: "POST /v1/x".to_owned(),
            kind: "server",
            start: 1_700_000_000_000_000_000,
            end: 1_700_000_000_000_000_009,
            attributes: Map::from_iter([("n".to_owned(), json!(7))]),
            status: "error",
            message: "no".to_owned(),
        }
    }

    fn resource(span: &Value) -> Value {
        json!([{
            "resource": { "attributes": [
                { "key": "service.name", "value": { "stringValue": "gateway" } },
            ] },
            "scopeSpans": [{ "scope": {}, "spans": [span] }],
        }])
    }

    #[test]
    fn the_specification_s_json_is_read() {
        let span = json!({
            "traceId": "4bf92f3577b34da6a3ce929d0e0e4736",
            "spanId": "00F067AA0BA902B7",
            "parentSpanId": "0102030405060708",
            "links": [{ "traceId": "0a".repeat(16), "spanId": "0102030405060708" }],
            "name": "POST /v1/x",
            "kind": 2,
            "startTimeUnixNano": "1700000000000000000",
            "endTimeUnixNano": "1700000000000000009",
            "attributes": [{ "key": "n", "value": { "intValue": "7" } }],
            "status": { "code": 2, "message": "no" },
        });
        for answer in [
            json!({ "batches": resource(&span) }),
            json!({ "resourceSpans": resource(&span) }),
            json!({ "trace": { "resourceSpans": resource(&span) } }),
        ] {
            assert_eq!(spans(&answer).expect("spans"), [expected()]);
        }
    }

    #[test]
    fn tempo_s_json_is_read() {
        let span = json!({
            "traceId": "S/kvNXezTaajzpKdDg5HNg==",
            "spanId": "APBnqgupArc=",
            "parentSpanId": "AQIDBAUGBwg=",
            "links": [{ "traceId": "CgoKCgoKCgoKCgoKCgoKCg==", "spanId": "AQIDBAUGBwg=" }],
            "name": "POST /v1/x",
            "kind": "SPAN_KIND_SERVER",
            "startTimeUnixNano": "1700000000000000000",
            "endTimeUnixNano": "1700000000000000009",
            "attributes": [{ "key": "n", "value": { "intValue": "7" } }],
            "status": { "code": "STATUS_CODE_ERROR", "message": "no" },
        });
        let found = spans(&json!({ "batches": resource(&span) })).expect("spans");
        assert_eq!(found, [expected()]);
    }

    #[test]
    fn what_is_no_span_is_said() {
        assert_eq!(spans(&json!({ "status": "COMPLETE" })).expect("no spans"), []);
        let error = spans(&json!({ "batches": resource(&json!({ "name": "x" })) }));
        assert!(error.expect_err("no ids").to_string().contains("a span is malformed"));
    }
}
