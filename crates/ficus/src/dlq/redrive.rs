//! Asks for dead letters to be applied again or given up, and tells what came of each.

use std::{
    collections::HashMap,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context;
use comfy_table::Table;
use ficus_events::{
    Kafka,
    dead_letters::{self, Action, Answer, DeadLetter, Error, Outcome, Scope},
};
use serde_json::{Value, json};

use super::{PATIENCE, at};
use crate::{
    cli::{DryRun, Patience, Redrive},
    exit, out, table,
};

const NO_WORD: &str = "\
no consumer has said a word. What was asked for is written down and will be done when the consumer of the \
capability's owner runs: see that it does (`ficus move list` names the owner), and look at `ficus dlq list`. \
To ask again does no harm";
const BEHIND: &str = "an earlier one of its key stays";
const NO_CONSUMER: &str = "it does not say which consumer it is of";

/// What is asked for.
pub struct Request {
    pub action: Action,
    pub letters: Vec<DeadLetter>,
    pub scope: Scope,
}

/// The letters that are meant. The outer error is the broker's, the inner one the caller's.
pub async fn chosen(
    kafka: &Kafka,
    which: &Redrive,
) -> Result<anyhow::Result<Vec<DeadLetter>>, Error> {
    if let Some(place) = &which.place {
        return Ok(at(kafka, place).await?.map(|letter| vec![letter]));
    }
    let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|w| w == found);
    let mut letters = dead_letters::list(kafka, which.topic.as_deref(), PATIENCE).await?;
    letters.retain(|letter| is(&which.consumer, &letter.group) && is(&which.key, &letter.key));
    Ok(Ok(letters))
}

/// The widest that goes no further than what was said.
pub fn scope(which: &Redrive) -> Scope {
    match which {
        Redrive { place: Some(_), .. } => Scope::Letters,
        Redrive { key: Some(_), .. } => Scope::Keys,
        _ => Scope::Everything,
    }
}

/// Asks, waits and tells; or tells what would be asked.
pub async fn run(
    kafka: &Kafka,
    request: Request,
    dry: DryRun,
    patience: Patience,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let Request { action, letters, scope } = request;
    if letters.is_empty() && !json {
        out::say("no dead letters")?;
        return Ok(ExitCode::SUCCESS);
    }
    if dry.dry_run {
        tell(&plan(&letters), json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = {
        let heard = Arc::clone(&heard);
        move |answer: Answer| match answer.outcome {
            Outcome::Waiting => out::warn(format_args!("waiting: {}", answer.reason)),
            _ => heard.lock().unwrap_or_else(PoisonError::into_inner).push(answer),
        }
    };
    let asked = dead_letters::redrive(kafka, action, &letters, scope, patience.timeout, hear).await;
    let answers = heard.lock().unwrap_or_else(PoisonError::into_inner).split_off(0);
    match asked {
        Ok(()) => {}
        Err(Error::Unanswered) => {
            tell(&outcomes(&letters, &answers, "no word yet"), json)?;
            anyhow::bail!(NO_WORD);
        }
        Err(error) => return Err(error).context("failed to ask for it"),
    }
    let lines = outcomes(&letters, &answers, BEHIND);
    tell(&lines, json)?;
    Ok(exit::of(lines.iter().all(|line| line.is_settled)))
}

/// What is said of one letter.
struct Line {
    place: String,
    key: String,
    kind: String,
    outcome: &'static str,
    is_settled: bool,
    attempts: String,
    reason: String,
}

impl Line {
    fn of(letter: &DeadLetter, outcome: &'static str, reason: &str) -> Self {
        Self {
            place: letter.place(),
            key: letter.key.clone(),
            kind: letter.kind.clone(),
            outcome,
            is_settled: false,
            attempts: letter.attempts.clone(),
            reason: reason.to_owned(),
        }
    }
}

fn plan(letters: &[DeadLetter]) -> Vec<Line> {
    letters.iter().map(|letter| Line::of(letter, "would be asked for", &letter.error)).collect()
}

/// What came of each letter: of those that were asked for, and of those that came meanwhile.
fn outcomes(letters: &[DeadLetter], answers: &[Answer], silence: &str) -> Vec<Line> {
    let mut answers: HashMap<&str, &Answer> =
        answers.iter().filter_map(|answer| Some((answer.place.as_deref()?, answer))).collect();
    let mut lines: Vec<Line> = letters
        .iter()
        .map(|letter| match answers.remove(letter.place().as_str()) {
            Some(answer) => answered(Line::of(letter, "", ""), answer),
            None if letter.group.is_empty() => Line::of(letter, "refused", NO_CONSUMER),
            None => Line::of(letter, "stays", silence),
        })
        .collect();
    let mut later: Vec<_> = answers.into_iter().collect();
    later.sort_by_key(|(place, _)| *place);
    lines.extend(later.into_iter().map(|(place, answer)| {
        let line = Line {
            place: place.to_owned(),
            key: String::new(),
            kind: String::new(),
            outcome: "",
            is_settled: false,
            attempts: String::new(),
            reason: String::new(),
        };
        answered(line, answer)
    }));
    lines
}

fn answered(line: Line, answer: &Answer) -> Line {
    use Outcome::{Applied, Discarded, Known};
    Line {
        outcome: answer.outcome.as_str(),
        is_settled: matches!(answer.outcome, Applied | Known | Discarded),
        attempts: answer.attempts.to_string(),
        reason: answer.reason.clone(),
        ..line
    }
}

fn tell(lines: &[Line], json: bool) -> anyhow::Result<()> {
    if json {
        let all: Vec<Value> = lines.iter().map(to_json).collect();
        return out::say_json(&json!({ "letters": all }));
    }
    let mut table: Table = table::new();
    table.set_header(["place", "key", "kind", "outcome", "tries", "reason"]);
    for line in lines {
        let Line { place, key, kind, outcome, attempts, reason, .. } = line;
        table.add_row([place, key, kind, *outcome, attempts, reason]);
    }
    out::say(table)
}

fn to_json(line: &Line) -> Value {
    json!({
        "place": line.place,
        "key": line.key,
        "kind": line.kind,
        "outcome": line.outcome,
        "is_settled": line.is_settled,
        "attempts": line.attempts,
        "reason": line.reason,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(offset: i64, group: &str) -> DeadLetter {
        let [topic, key, group, none] = ["t.dlq", "k", group, ""].map(ToOwned::to_owned);
        DeadLetter {
            topic,
            partition: 0,
            offset,
            timestamp_ms: None,
            key,
            group,
            cause: none.clone(),
            event_id: none.clone(),
            kind: none.clone(),
            version: none.clone(),
            error: none.clone(),
            attempts: none.clone(),
            origin: none,
            headers: Vec::new(),
            payload: bytes::Bytes::new(),
        }
    }

    fn answer(offset: i64, outcome: Outcome) -> Answer {
        let place = Some(format!("t.dlq/0/{offset}"));
        Answer { place, outcome, reason: String::new(), attempts: 1 }
    }

    #[test]
    fn each_letter_has_an_outcome_and_those_that_came_meanwhile_too() {
        let letters = [letter(1, "g"), letter(2, "g"), letter(3, "g"), letter(4, "")];
        let answers =
            [answer(1, Outcome::Applied), answer(2, Outcome::Failed), answer(9, Outcome::Known)];
        let lines = outcomes(&letters, &answers, BEHIND);
        let told: Vec<_> = lines.iter().map(|line| (line.outcome, line.is_settled)).collect();
        let stays = [("stays", false), ("refused", false)];
        assert_eq!(told[..2], [("applied", true), ("failed", false)]);
        assert_eq!(told[2..4], stays);
        assert_eq!(told[4..], [("applied before", true)]);
    }
}
