//! Dead letters.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use comfy_table::Table;
use ficus_events::{
    Kafka,
    dead_letters::{self, DeadLetter},
};
use serde_json::{Value, json};

use crate::{
    cli::{DlqCommand, DlqVerb},
    out, table,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Reads from the broker alone.
pub async fn run(command: DlqCommand, json: bool) -> anyhow::Result<ExitCode> {
    let kafka = Kafka::from(command.brokers.clone());
    let failed =
        || format!("failed to ask the broker {}; name another with --brokers", command.brokers);
    match &command.verb {
        DlqVerb::List { topic } => {
            let letters = dead_letters::list(&kafka, topic.as_deref(), PATIENCE).await;
            list(&letters.with_context(failed)?, json)
        }
        DlqVerb::Show { place } => {
            let (topic, partition, offset) = parse(place).with_context(|| {
                format!("\"{place}\" is no topic/partition/offset; `ficus dlq list` prints them")
            })?;
            let letter = dead_letters::show(&kafka, topic, partition, offset, PATIENCE).await;
            let letter = letter.with_context(failed)?.with_context(|| {
                format!("there is no dead letter at {place}; `ficus dlq list` prints what there is")
            })?;
            show(&letter, json)
        }
    }
}

fn list(letters: &[DeadLetter], json: bool) -> anyhow::Result<ExitCode> {
    if json {
        let all: Vec<Value> = letters.iter().map(to_json).collect();
        out::say_json(&json!({ "dead_letters": all }))?;
    } else if letters.is_empty() {
        out::say("no dead letters")?;
    } else {
        out::say(table(letters))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn show(letter: &DeadLetter, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        out::say_json(&to_json(letter))?;
        return Ok(ExitCode::SUCCESS);
    }
    out::say(table(std::slice::from_ref(letter)))?;
    for (name, value) in &letter.headers {
        out::say(format_args!("{name}: {value}"))?;
    }
    out::say(format_args!(
        "payload ({} bytes, base64): {}",
        letter.payload.len(),
        STANDARD.encode(&letter.payload)
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn parse(place: &str) -> Option<(&str, i32, i64)> {
    let (rest, offset) = place.rsplit_once('/')?;
    let (topic, partition) = rest.rsplit_once('/')?;
    Some((topic, partition.parse().ok()?, offset.parse().ok()?))
}

fn table(letters: &[DeadLetter]) -> Table {
    let mut table = table::new();
    table.set_header(["place", "key", "kind", "tries", "error", "origin"]);
    for letter in letters {
        table.add_row([
            format!("{}/{}/{}", letter.topic, letter.partition, letter.offset),
            letter.key.clone(),
            letter.kind.clone(),
            letter.attempts.clone(),
            letter.error.clone(),
            letter.origin.clone(),
        ]);
    }
    table
}

fn to_json(letter: &DeadLetter) -> Value {
    json!({
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "timestamp_ms": letter.timestamp_ms,
        "key": letter.key,
        "event_id": letter.event_id,
        "kind": letter.kind,
        "version": letter.version,
        "error": letter.error,
        "attempts": letter.attempts,
        "origin": letter.origin,
        "headers": letter.headers,
        "payload_base64": STANDARD.encode(&letter.payload),
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_place_is_topic_partition_and_offset() {
        assert_eq!(parse("trellis.core.v1.dlq/0/17"), Some(("trellis.core.v1.dlq", 0, 17)));
        assert_eq!(parse("trellis.core.v1.dlq"), None);
    }
}
