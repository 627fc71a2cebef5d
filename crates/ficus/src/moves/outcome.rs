//! What a verb did.

use std::process::ExitCode;

use ficus_control_api::control::v1::{Outcome, SwitchReport};
use serde_json::{Value, json};

use crate::exit;

pub(super) fn print(outcome: &Outcome, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        println!("{}", serde_json::to_string(&to_json(outcome))?);
        return Ok(exit::of(outcome.done));
    }
    for line in &outcome.lines {
        println!("{line}");
    }
    if let Some(report) = &outcome.switch {
        println!("write pause {:.1} ms, {} of the tries needed", report.pause_ms, report.tries);
    }
    for refusal in &outcome.refusals {
        eprintln!("refused: {refusal}");
    }
    Ok(exit::of(outcome.done))
}

fn to_json(outcome: &Outcome) -> Value {
    json!({
        "done": outcome.done,
        "lines": outcome.lines,
        "refusals": outcome.refusals,
        "switch": outcome.switch.as_ref().map(switch),
    })
}

fn switch(report: &SwitchReport) -> Value {
    json!({
        "epoch": report.epoch,
        "at": report.at.as_ref().map(ToString::to_string),
        "pause_ms": report.pause_ms,
        "tries": report.tries,
    })
}
