//! Dead letters: what there is, and [`redrive`].

mod redrive;

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use base64::{Engine, engine::general_purpose::STANDARD};
use comfy_table::Table;
use ficus_events::{
    Kafka,
    dead_letters::{self, Action, DeadLetter, Scope},
};
use redrive::Request;
use serde_json::{Value, json};

use crate::{
    cli::{DlqCommand, DlqVerb},
    out, table,
};

const PATIENCE: Duration = Duration::from_secs(10);

/// Asks the broker alone; what is to be changed is written there too, for a consumer to find.
pub async fn run(command: DlqCommand, json: bool) -> anyhow::Result<ExitCode> {
    let kafka = Kafka::from(command.brokers.clone());
    let failed =
        || format!("failed to ask the broker {}; name another with --brokers", command.brokers);
    match &command.verb {
        DlqVerb::List { topic } => {
            let letters = dead_letters::list(&kafka, topic.as_deref(), PATIENCE).await;
            list(&letters.with_context(failed)?, json)
        }
        DlqVerb::Show { place } => show(&at(&kafka, place).await.with_context(failed)??, json),
        DlqVerb::Redrive(which) => {
            let letters = redrive::chosen(&kafka, which).await.with_context(failed)??;
            let scope = redrive::scope(which);
            let request = Request { action: Action::Redrive, letters, scope };
            redrive::run(&kafka, request, which.dry, which.patience, json).await
        }
        DlqVerb::Discard { place, dry, patience } => {
            let letters = vec![at(&kafka, place).await.with_context(failed)??];
            let request = Request { action: Action::Discard, letters, scope: Scope::Letters };
            redrive::run(&kafka, request, *dry, *patience, json).await
        }
    }
}

/// The outer error is the broker's, the inner one the caller's.
async fn at(kafka: &Kafka, place: &str) -> Result<anyhow::Result<DeadLetter>, dead_letters::Error> {
    let Some((topic, partition, offset)) = parse(place) else {
        return Ok(Err(anyhow::anyhow!(
            "\"{place}\" is no topic/partition/offset; `ficus dlq list` prints them"
        )));
    };
    let letter = dead_letters::show(kafka, topic, partition, offset, PATIENCE).await?;
    Ok(letter.with_context(|| {
        format!("there is no dead letter at {place}; `ficus dlq list` prints what there is")
    }))
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
            letter.place(),
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
        "consumer": letter.group,
        "cause": letter.cause,
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
