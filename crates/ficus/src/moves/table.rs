//! Tables for people.

use comfy_table::{ColumnConstraint, Table};
use ficus_control_api::control::v1::{Diff, Move};

use super::journal::journal;
use crate::table;

pub(super) fn list(moves: &[Move]) -> Table {
    let mut table = table::new();
    table.set_header(["capability", "phase", "owner", "epoch", "stream", "lag", "diff"]);
    for one in moves {
        table.add_row([
            one.capability.clone(),
            one.phase.clone(),
            one.owner.clone(),
            one.epoch.to_string(),
            stream(one),
            format!("{:.0} ms", one.lag_ms),
            diff(one.diff.as_ref()),
        ]);
    }
    // A name that is broken in two is not found.
    if let Some(names) = table.column_mut(0) {
        names.set_constraint(ColumnConstraint::ContentWidth);
    }
    table
}

/// The facts, the pickers and the journal of one move.
pub(super) fn one(one: &Move) -> String {
    let mut parts = vec![facts(one).to_string()];
    if !one.pickers.is_empty() {
        parts.push(pickers(one).to_string());
    }
    if !one.journal.is_empty() {
        parts.push(journal(&one.journal, table::width().into()));
    }
    parts.join("\n")
}

fn facts(one: &Move) -> Table {
    let mut table = table::new();
    let rows = [
        ("capability", one.capability.clone()),
        ("phase", one.phase.clone()),
        ("owner", format!("{}, epoch {}", one.owner, one.epoch)),
        ("stream", stream(one)),
        ("trouble", one.stream_error.clone()),
        ("rows", rows(one)),
        ("lag", format!("{:.0} ms", one.lag_ms)),
        ("diff", diff(one.diff.as_ref())),
        ("switch", one.step.clone()),
        ("attempt", one.attempt.to_string()),
        ("leader", one.leader.clone()),
    ];
    for (name, value) in rows {
        if !value.is_empty() {
            table.add_row([name.to_owned(), value]);
        }
    }
    table
}

fn pickers(one: &Move) -> Table {
    let mut table = table::new();
    table.set_header(["picker", "role", "epoch", "heard"]);
    for picker in &one.pickers {
        table.add_row([
            picker.name.clone(),
            picker.role.clone(),
            picker.epoch.to_string(),
            format!("{:.1} s ago", picker.heard_seconds_ago),
        ]);
    }
    table
}

fn stream(one: &Move) -> String {
    if one.direction.is_empty() {
        return one.stream.clone();
    }
    format!("{}, {}", one.stream, one.direction)
}

fn rows(one: &Move) -> String {
    let left = match one.eta_seconds {
        left if left > 0.0 => format!(", {left:.0} s left"),
        _ => String::new(),
    };
    match one.rows_copied {
        _ if one.phase == "copying" => {
            let total = one.rows_total.max(one.rows_copied);
            format!("{} of about {total} copied{left}", one.rows_copied)
        }
        0 if one.rows_total == 0 => "not counted yet".to_owned(),
        0 => format!("about {}{left}", one.rows_total),
        copied => format!("{copied} copied{left}"),
    }
}

fn diff(diff: Option<&Diff>) -> String {
    match diff {
        None => "not compared".to_owned(),
        Some(diff) if diff.clean => format!("clean, {} rows compared", diff.rows_compared),
        Some(diff) => format!("{} of {} rows differ", diff.rows_differing, diff.rows_compared),
    }
}
