//! Spans to JSON, in the form that Grafana Tempo answers: a trace as OTLP JSON under `batches`, a search as
//! `traces`. Unlike Tempo, and as OTLP says, ids are hexadecimal digits and enums numbers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    id::TraceId,
    span::{Kind, Link, Span, Status},
};

/// One trace, a batch a service.
pub fn trace(spans: &[Span]) -> Value {
    let mut batches: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for one in spans {
        batches.entry(&one.service).or_default().push(span(one));
    }
    let batches: Vec<Value> =
        batches.into_iter().map(|(service, spans)| batch(service, &spans)).collect();
    json!({ "batches": batches })
}

fn batch(service: &str, spans: &[Value]) -> Value {
    let name = [attribute(("service.name", &service.into()))];
    json!({ "resource": { "attributes": name }, "scopeSpans": [{ "spans": spans }] })
}

fn span(span: &Span) -> Value {
    json!({
        "traceId": span.trace_id,
        "spanId": span.id,
        "parentSpanId": span.parent.map_or_else(String::new, |id| id.to_string()),
        "links": span.links.iter().map(link).collect::<Vec<_>>(),
        "name": span.name,
        "kind": kind(span.kind),
        "startTimeUnixNano": span.start_unix_nano.to_string(),
        "endTimeUnixNano": span.end_unix_nano.to_string(),
        "attributes": attributes(&span.attributes),
        "status": { "code": code(span.status), "message": span.status_message },
    })
}

fn link(link: &Link) -> Value {
    json!({ "traceId": link.trace_id, "spanId": link.span_id })
}

fn kind(kind: Kind) -> u8 {
    match kind {
        Kind::Unspecified => 0,
        Kind::Internal => 1,
        Kind::Server => 2,
        Kind::Client => 3,
        Kind::Producer => 4,
        Kind::Consumer => 5,
    }
}

fn code(status: Status) -> u8 {
    match status {
        Status::Unset => 0,
        Status::Ok => 1,
        Status::Error => 2,
    }
}

fn attributes(all: &Map<String, Value>) -> Vec<Value> {
    all.iter().map(|(key, value)| attribute((key, value))).collect()
}

fn attribute((key, one): (&str, &Value)) -> Value {
    json!({ "key": key, "value": value(one) })
}

fn value(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(truth) => json!({ "boolValue": truth }),
        // 64-bit integers are strings in protobuf's JSON.
        Value::Number(number) if number.is_i64() => json!({ "intValue": number.to_string() }),
        Value::Number(number) => json!({ "doubleValue": number }),
        Value::String(text) => json!({ "stringValue": text }),
        Value::Array(all) => {
            json!({ "arrayValue": { "values": all.iter().map(self::value).collect::<Vec<_>>() } })
        }
        Value::Object(all) => json!({ "kvlistValue": { "values": attributes(all) } }),
    }
}

/// What a search says of one trace; `None` if nothing is known of it.
pub fn found(trace: TraceId, spans: &[Span]) -> Option<Value> {
    let start = spans.iter().map(|span| span.start_unix_nano).min()?;
    let end = spans.iter().map(|span| span.end_unix_nano).max()?;
    let roots = spans.iter().filter(|span| span.parent.is_none());
    let root = roots.min_by_key(|span| span.start_unix_nano);
    Some(json!({
        "traceID": trace,
        "rootServiceName": root.map_or("", |root| &root.service),
        "rootTraceName": root.map_or("<root span not yet received>", |root| &root.name),
        "startTimeUnixNano": start.to_string(),
        "durationMs": (end - start) / 1_000_000,
        "serviceStats": services(spans),
    }))
}

fn services(spans: &[Span]) -> Map<String, Value> {
    let mut counts: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
    for span in spans {
        let (all, errors) = counts.entry(&span.service).or_default();
        *all += 1;
        *errors += u64::from(span.status == Status::Error);
    }
    let stats = |(all, errors)| json!({ "spanCount": all, "errorCount": errors });
    counts.into_iter().map(|(service, counts)| (service.to_owned(), stats(counts))).collect()
}
