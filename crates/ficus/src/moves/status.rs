//! Where moves stand.

use std::process::ExitCode;

use ficus_control_api::control::v1::{Diff, JournalEntry, Move, Picker};
use serde_json::{Value, json};

use super::{moves, table};
use crate::{controllers::Controllers, out};

/// One move, with its journal.
pub(super) async fn run(
    controllers: &Controllers,
    capability: &str,
    journal: u32,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let found = moves(controllers, capability, journal).await?;
    for one in &found {
        print(one, json)?;
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn print(one: &Move, json: bool) -> anyhow::Result<()> {
    if json { out::say_json(&to_json(one)) } else { out::say(table::one(one)) }
}

/// Where it stands, for who waits.
pub(super) fn in_short(one: &Move) -> String {
    let compares = one.diff.is_none() && matches!(&*one.phase, "following" | "switched");
    let compares = if compares { ", comparing both sides" } else { "" };
    let step = if one.step.is_empty() { String::new() } else { format!(", {}", one.step) };
    let left = if one.eta_seconds > 0.0 {
        format!(", {:.0} s left", one.eta_seconds)
    } else {
        String::new()
    };
    format!("{}{compares}{step}{left}, lag {:.0} ms", one.phase, one.lag_ms)
}

/// Every move, a line each.
pub async fn list(controllers: &Controllers, json: bool) -> anyhow::Result<ExitCode> {
    let found = moves(controllers, "", 1).await?;
    if json {
        let all: Vec<Value> = found.iter().map(to_json).collect();
        out::say_json(&json!({ "moves": all }))?;
    } else if found.is_empty() {
        out::say("no move is written down; `ficus move <capability> create` does that")?;
    } else {
        out::say(table::list(&found))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn to_json(found: &Move) -> Value {
    json!({
        "capability": found.capability,
        "owner": found.owner,
        "epoch": found.epoch,
        "phase": found.phase,
        "stream": found.stream,
        "direction": found.direction,
        "stream_error": found.stream_error,
        "lag_ms": found.lag_ms,
        "rows_copied": found.rows_copied,
        "rows_total": found.rows_total,
        "eta_seconds": found.eta_seconds,
        "diff": found.diff.as_ref().map(diff),
        "attempt": found.attempt,
        "step": found.step,
        "retired": found.retired,
        "leader": found.leader,
        "pickers": found.pickers.iter().map(picker).collect::<Vec<_>>(),
        "journal": found.journal.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn diff(diff: &Diff) -> Value {
    json!({
        "at": diff.at.as_ref().map(ToString::to_string),
        "clean": diff.clean,
        "rows_compared": diff.rows_compared,
        "rows_differing": diff.rows_differing,
    })
}

fn picker(picker: &Picker) -> Value {
    json!({
        "name": picker.name,
        "role": picker.role,
        "epoch": picker.epoch,
        "heard_seconds_ago": picker.heard_seconds_ago,
    })
}

fn entry(entry: &JournalEntry) -> Value {
    json!({
        "id": entry.id,
        "at": entry.at.as_ref().map(ToString::to_string),
        "attempt": entry.attempt,
        "epoch": entry.epoch,
        "step": entry.step,
        "text": entry.text,
        "by": entry.by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_is_told_the_step_and_the_time_left() {
        let mut one = Move { phase: "following".to_owned(), lag_ms: 2.4, ..Move::default() };
        assert_eq!(in_short(&one), "following, comparing both sides, lag 2 ms");
        one.eta_seconds = 7.6;
        assert_eq!(in_short(&one), "following, comparing both sides, 8 s left, lag 2 ms");
        let one = Move { phase: "switching".to_owned(), step: "C8".to_owned(), ..Move::default() };
        assert_eq!(in_short(&one), "switching, C8, lag 0 ms");
    }
}
