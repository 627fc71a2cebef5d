//! `ficus load`: open-loop load on one target, or by a scenario.
//!
//! ```text
//! flags ─► scenario (a file, or the one call that flags say) ─► users (set up) ─► plan ─► tester ─► report
//! ```
//!
//! [`plan`] puts it together of [`scenario`], [`users`], [`template`] and [`filled`]; [`reflect`] and [`openapi`] ask a
//! target what it takes, [`check`] says what answers must be, [`recorded`] reads when requests came, [`inside`] says who
//! asks; [`watch`] shows what happens, [`metrics`] reads what programs say of themselves, [`capacity`] tries one rate
//! after the other; [`table`] and [`page`] show what happened, [`reports`] compares and adds up what was written.

mod capacity;
mod check;
mod filled;
mod inside;
mod metrics;
mod openapi;
mod page;
mod plan;
mod recorded;
mod reflect;
mod reports;
mod scenario;
mod table;
mod template;
mod users;
mod watch;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};

use anyhow::Context as _;
use chrono::SecondsFormat;
use ficus_load::{Plan, Series, Slo, Tally, Tester, TesterReport};
use ficus_process::Clock;
use serde::Serialize;
use tokio::task::spawn_blocking;

use crate::{
    cli::{LoadCommand, LoadVerb},
    exit, out,
};
use plan::Made;

/// What every report begins with, and what this one adds.
#[derive(Serialize)]
struct Told<R> {
    schema: u32,
    /// The clone's, the stack's broker and its server: none of them is known here.
    commit: Option<&'static str>,
    seed: u64,
    started_at: String,
    broker: Option<&'static str>,
    postgres: Option<&'static str>,
    #[serde(flatten)]
    report: R,
}

/// A run that is over.
struct Ran {
    tally: Tally,
    series: Series,
    report: TesterReport,
    charts: Vec<metrics::Chart>,
    /// Ctrl-C ended it.
    stopped: bool,
}

/// `config` is where `ficus.toml` is; scenarios are found beside it.
pub(crate) async fn run(
    command: LoadCommand,
    config: &Path,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let folder = config.parent().map(Path::to_path_buf).unwrap_or_default();
    let folder = if folder.as_os_str().is_empty() { PathBuf::from(".") } else { folder };
    match &command.verb {
        Some(LoadVerb::List) => return reports::list(&folder, json),
        Some(LoadVerb::Compare { a, b, noise }) => return reports::compare(a, b, *noise, json),
        Some(LoadVerb::Merge { reports, out }) => {
            return reports::merge(reports, out.as_deref(), json);
        }
        None => {}
    }
    let aim = command.target.as_ref().context("no target")?;
    for file in [&command.out, &command.report].into_iter().flatten() {
        try_file(file)?;
    }
    let made = plan::make(&command, aim, &folder).await?;
    let started_at = Clock::system().now().to_rfc3339_opts(SecondsFormat::Millis, true);
    if command.find_capacity {
        return capacity::find(&command, &made, started_at, json).await;
    }
    let ran = once(&made.plan, &made).await?;
    let troubles = troubles(made.slo.as_ref(), &ran);
    let value = serde_json::to_value(told(&made.plan, started_at.clone(), &ran.report))?;
    if json {
        out::say_json(&value)?;
    } else {
        out::say(table::of(&ran.report, &ran.tally))?;
    }
    for trouble in &troubles {
        out::warn(trouble);
    }
    let page = page::Page::new(&made.plan, &ran, &troubles, &started_at, None);
    keep(&command, &value, &page, json)?;
    Ok(exit::of(troubles.is_empty()))
}

/// Writes what was asked for, after it has been told: what fails of one file keeps the other from nothing.
fn keep(
    command: &LoadCommand,
    value: &serde_json::Value,
    page: &page::Page<'_>,
    json: bool,
) -> anyhow::Result<()> {
    let out = command.out.as_ref().map_or(Ok(()), |file| write(file, &format!("{value}\n")));
    if let Some(file) = &command.report {
        let written = page.html().and_then(|html| write(file, &html));
        // The other one is told by whoever called.
        if let (Err(_), Err(error)) = (&written, &out) {
            out::warn(format_args!("{error:#}"));
        }
        written?;
        if !json {
            out::warn(format_args!("a page with charts is in {}", file.display()));
        }
    }
    out
}

/// Fails before anything is sent if the file could not be written in the end. One that is there stays as it is.
fn try_file(file: &Path) -> anyhow::Result<()> {
    let new = !file.exists();
    let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
    opened.with_context(|| format!("{} cannot be written", file.display()))?;
    if new {
        let _ = std::fs::remove_file(file);
    }
    Ok(())
}

fn told<R>(plan: &Plan, started_at: String, report: R) -> Told<R> {
    Told {
        schema: 1,
        commit: None,
        seed: plan.seed,
        started_at,
        broker: None,
        postgres: None,
        report,
    }
}

/// Runs a plan from its beginning to its end, before the eyes of whoever waits.
async fn once(plan: &Plan, made: &Made) -> anyhow::Result<Ran> {
    let watching = metrics::Watching::start(&made.metrics, &plan.dialer, Instant::now());
    let tester = Tester::start(plan).context("failed to start threads")?;
    let watched = watch::until_over(&tester, plan).await?;
    let (tally, series) = if watched.abandoned {
        let mut tally = tester.look();
        tally.abandon("Ctrl-C ended the run before the answer came");
        (tally, tester.series())
    } else {
        spawn_blocking(|| tester.finish()).await?
    };
    let report = TesterReport::new(plan, &tally, watched.sent_for);
    Ok(Ran { tally, series, report, charts: watching.charts(), stopped: watched.stopped })
}

/// Why the run says nothing of its target, or what it says is not good enough; nothing if all is well.
fn troubles(slo: Option<&Slo>, ran: &Ran) -> Vec<String> {
    let mut troubles = Vec::new();
    if let Some(why) = &ran.report.why_void {
        troubles.push(format!("void: {}", why.0));
    }
    if ran.tally.ok == 0 && ran.tally.due > 0 {
        let first = ran.tally.errors.iter().next();
        let said = first.map_or_else(String::new, |(kind, failed)| {
            let colon = if failed.first.is_empty() { "" } else { ": " };
            format!(": {kind}{colon}{}", failed.first)
        });
        let target = &ran.report.target;
        troubles.push(format!("no request to {target} was answered as wanted{said}"));
    }
    let unmet = slo.map_or_else(Vec::new, |slo| slo.unmet(&ran.tally));
    troubles.extend(unmet.iter().map(|goal| format!("not met: {goal}")));
    troubles
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(file, text).with_context(|| format!("failed to write {}", file.display()))
}
