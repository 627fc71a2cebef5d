//! The traces that came last.

use std::process::ExitCode;

use anyhow::ensure;
use serde_json::{Value, json};

use super::{
    draw,
    otlp::number,
    store::{Answer, Store},
};
use crate::out;

/// What a search says of one trace.
struct Found {
    id: String,
    service: String,
    name: String,
    /// Nanoseconds since 1970.
    start: u64,
    milliseconds: u64,
    spans: u64,
    errors: u64,
}

pub(super) async fn run(store: &Store, limit: u32, json: bool) -> anyhow::Result<ExitCode> {
    let answer = store.get(&format!("/api/search?limit={limit}")).await?;
    let traces = match &answer {
        Answer::Found(body) => body["traces"].as_array(),
        Answer::NotFound => None,
    };
    // A search that found nothing may leave the list out.
    ensure!(
        traces.is_some() || matches!(&answer, Answer::Found(body) if body.is_object()),
        "{} does not list traces; is it a trace store? name another with --from, or a trace by its id",
        store.url()
    );
    let found: Vec<Found> = traces.into_iter().flatten().filter_map(found).collect();
    if json {
        let all: Vec<Value> = found.iter().map(to_json).collect();
        out::say_json(&json!({ "traces": all }))?;
    } else if found.is_empty() {
        out::say(format_args!("{} holds no trace yet", store.url()))?;
    } else {
        out::say(drawn(&found))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn found(one: &Value) -> Option<Found> {
    let sum = |field: &str| {
        let services = one["serviceStats"].as_object().into_iter().flat_map(|all| all.values());
        services.filter_map(|stats| stats[field].as_u64()).sum()
    };
    Some(Found {
        // Tempo leaves leading zeros out.
        id: format!("{:0>32}", one["traceID"].as_str()?),
        service: one["rootServiceName"].as_str().unwrap_or_default().to_owned(),
        name: one["rootTraceName"].as_str().unwrap_or_default().to_owned(),
        start: number(&one["startTimeUnixNano"])?,
        milliseconds: number(&one["durationMs"]).unwrap_or_default(),
        spans: sum("spanCount"),
        errors: sum("errorCount"),
    })
}

/// The name of the root comes last: it may be long.
fn drawn(found: &[Found]) -> String {
    let mut lines = vec![line("trace", "spans", "errors", "took", "root")];
    lines.extend(found.iter().map(|one| {
        let root = draw::clean(format!("{} {}", one.service, one.name).trim_start());
        let took = format!("{} ms", one.milliseconds);
        line(&one.id, &one.spans.to_string(), &one.errors.to_string(), &took, &root)
    }));
    lines.join("\n")
}

fn line(trace: &str, spans: &str, errors: &str, took: &str, root: &str) -> String {
    format!("{trace:32}  {spans:>5}  {errors:>6}  {took:>9}  {root}")
}

fn to_json(one: &Found) -> Value {
    json!({
        "trace_id": one.id,
        "root_service": one.service,
        "root_name": one.name,
        "start_unix_nano": one.start,
        "duration_ms": one.milliseconds,
        "spans": one.spans,
        "errors": one.errors,
    })
}
