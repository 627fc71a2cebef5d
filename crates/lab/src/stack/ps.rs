//! Shows what is up.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use comfy_table::{Table, presets};
use serde::Serialize;

use super::{Entry, Root, Stack, health, programs};
use crate::print;

/// What `lab ps` is told.
#[derive(Args, Debug)]
#[command(after_help = "\
Each process answers, does not answer, or has ended; nothing is restarted by itself: `lab up` does that.
Exit status: 0 if all answer, 1 if one does not.

Examples:
  lab ps
  lab ps --json
  lab logs controller-1 | tail    # why one has ended")]
pub struct Arguments {
    /// Prints JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Row {
    name: String,
    pid: i32,
    state: &'static str,
    ports: Vec<u16>,
    log: String,
}

/// Prints a line a process; exit code 1 if one of them has ended or does not answer.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let stack = Stack::of(&Root::find()?)?;
    let mut rows = Vec::new();
    for entry in stack.processes {
        rows.push(row(&entry).await?);
    }
    let well = rows.iter().all(|row| row.state == "answers");
    if arguments.json {
        print::line(serde_json::to_string_pretty(&rows)?)?;
    } else {
        print::line(table(&rows))?;
    }
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn row(entry: &Entry) -> Result<Row> {
    let state = if !entry.alive() {
        "has ended"
    } else if health::check(programs::named(&entry.name)?.health).await.is_ok() {
        "answers"
    } else {
        "does not answer"
    };
    let ports = entry.ports.values().copied().collect();
    let log = entry.log.display().to_string();
    Ok(Row { name: entry.name.clone(), pid: entry.pid, state, ports, log })
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(["name", "pid", "state", "ports", "log"]);
    for row in rows {
        let ports: Vec<_> = row.ports.iter().map(u16::to_string).collect();
        let pid = row.pid.to_string();
        table.add_row([&row.name, &pid, row.state, &ports.join(", "), &row.log]);
    }
    table
}
