//! What a verb did.

use std::process::ExitCode;

use ficus_control_api::control::v1::{Outcome, SwitchReport};
use serde_json::{Value, json};

use crate::{exit, out};

pub(super) fn print(outcome: &Outcome, json: bool) -> anyhow::Result<ExitCode> {
    if json {
        out::say_json(&to_json(outcome))?;
        return Ok(exit::of(outcome.done));
    }
    for line in &outcome.lines {
        out::say(line)?;
    }
    if let Some(report) = &outcome.switch {
        let tries = if report.tries == 1 { "try" } else { "tries" };
        out::say(format_args!(
            "write pause {:.1} ms, after {} {tries}",
            report.pause_ms, report.tries
        ))?;
    }
    for refusal in &outcome.refusals {
        out::warn(format_args!("refused: {refusal}"));
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
