//! What happened to one request, from a trace store that answers as Grafana Tempo does: the sandbox's, or a
//! real one.
//!
//! [`store`] asks over HTTP, [`otlp`] reads the answer, [`tree`] puts the spans in order, [`draw`] prints.

mod draw;
mod json;
mod latest;
mod otlp;
mod store;
mod tree;

use std::process::ExitCode;

use anyhow::Context as _;
use store::{Answer, Store};

use crate::{cli::TraceCommand, out, table};

/// Prints one trace, or the latest.
pub async fn run(command: TraceCommand, json: bool) -> anyhow::Result<ExitCode> {
    let store = Store::new(&command.from)?;
    match &command.trace {
        Some(trace) => one(&store, &trace_id(trace)?, json).await,
        None => latest::run(&store, command.limit, json).await,
    }
}

async fn one(store: &Store, id: &str, json: bool) -> anyhow::Result<ExitCode> {
    let answer = store.get(&format!("/api/traces/{id}")).await?;
    let spans = match &answer {
        Answer::Found(body) => otlp::spans(body)
            .with_context(|| format!("failed to read what {} answers as a trace", store.url()))?,
        Answer::NotFound => Vec::new(),
    };
    anyhow::ensure!(
        !spans.is_empty(),
        "{} knows no trace {id}; a span arrives some seconds after its end: try again, or let `ficus trace` \
         list the latest, or name another store with --from",
        store.url()
    );
    let rows = tree::rows(&spans);
    if json {
        out::say_json(&json::trace(id, &rows))?;
    } else {
        out::say(draw::trace(id, &rows, table::width().into()))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The trace id of a `traceparent`, or one given as such; leading zeros may be absent.
fn trace_id(text: &str) -> anyhow::Result<String> {
    let text = text.trim().to_ascii_lowercase();
    let parts: Vec<&str> = text.split('-').collect();
    let id = match parts.as_slice() {
        [id] | [_, id, _, _] => *id,
        _ => "",
    };
    let digits = id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.len() <= 32;
    anyhow::ensure!(
        digits && id.bytes().any(|byte| byte != b'0'),
        "\"{text}\" is no trace: give its id, 32 hexadecimal digits, or a whole traceparent, as \
         00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    );
    Ok(format!("{id:0>32}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn a_trace_is_named_by_its_id_or_a_traceparent() {
        for text in
            [ID, &ID.to_uppercase(), &format!("00-{ID}-00f067aa0ba902b7-01"), &format!(" {ID}\n")]
        {
            assert_eq!(trace_id(text).expect("an id"), ID);
        }
        assert_eq!(trace_id("bf9").expect("an id"), format!("{:0>32}", "bf9"));
    }

    #[test]
    fn what_names_no_trace_is_refused() {
        for text in ["", "0", "zzz", "00-zz-01", &format!("{ID}0"), "00--1-01", "a/b"] {
            assert!(trace_id(text).is_err(), "{text}");
        }
    }
}
