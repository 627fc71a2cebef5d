//! `ficus load`: open-loop load on one target.
//!
//! [`plan`] reads the flags, [`reflect`] asks a gRPC target what it takes, [`watch`] shows what happens, [`table`]
//! what happened.

mod plan;
mod reflect;
mod table;
mod watch;

use std::process::ExitCode;

use anyhow::Context as _;
use chrono::SecondsFormat;
use ficus_load::{Plan, Tally, Tester, TesterReport};
use ficus_process::Clock;
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::{cli::LoadCommand, exit, out};

/// What every report begins with, and what this one adds.
#[derive(Serialize)]
struct Told {
    schema: u32,
    /// The clone's, the stack's broker and its server: none of them is known here.
    commit: Option<&'static str>,
    seed: u64,
    started_at: String,
    broker: Option<&'static str>,
    postgres: Option<&'static str>,
    #[serde(flatten)]
    report: TesterReport,
}

pub(crate) async fn run(command: LoadCommand, json: bool) -> anyhow::Result<ExitCode> {
    let plan = plan::make(&command).await?;
    let started_at = Clock::system().now().to_rfc3339_opts(SecondsFormat::Millis, true);
    let tester = Tester::start(&plan).context("failed to start threads")?;
    let watched = watch::until_over(&tester, &plan).await?;
    let tally =
        if watched.abandoned { tester.look() } else { spawn_blocking(|| tester.finish()).await? };
    let report = TesterReport::new(&plan, &tally, watched.sent_for);
    let told = Told {
        schema: 1,
        commit: None,
        seed: plan.seed,
        started_at,
        broker: None,
        postgres: None,
        report,
    };
    let value = serde_json::to_value(&told)?;
    if let Some(file) = &command.out {
        std::fs::write(file, format!("{value}\n"))
            .with_context(|| format!("failed to write {}", file.display()))?;
    }
    if json {
        out::say_json(&value)?;
    } else {
        out::say(table::of(&told.report, &tally))?;
    }
    Ok(exit::of(verdict(&command, &plan, &told.report, &tally)))
}

/// Whether the run says something of its target, and what it says is good enough; if not, why.
fn verdict(command: &LoadCommand, plan: &Plan, report: &TesterReport, tally: &Tally) -> bool {
    if let Some(why) = &report.why_void {
        out::warn(format_args!("void: {}", why.0));
    }
    if tally.ok == 0 && tally.due > 0 {
        let first = tally.errors.iter().next();
        let said =
            first.map_or_else(String::new, |(kind, failed)| format!(": {kind} {}", failed.first));
        out::warn(format_args!("no request to {} was answered as wanted{said}", plan.target));
    }
    let unmet = command.slo.as_ref().map_or_else(Vec::new, |slo| slo.unmet(tally));
    for goal in &unmet {
        out::warn(format_args!("not met: {goal}"));
    }
    !report.void && unmet.is_empty() && tally.ok > 0
}
