//! The whole tour, from a fresh stack to the verdict.

use std::fs;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use chrono::SecondsFormat;
use clap::Args;
use ficus_load::{Client, Ledger, Load, Options, Report};
use ficus_process::Clock;
use sqlx::{Connection as _, PgConnection};

use super::guide::Guide;
use super::report::{Requests, TourReport};
use super::scenario::World;
use super::screen::Screen;
use super::{chapters, people, settle};
use crate::judge::facts::Before;
use crate::seed::seed;
use crate::stack::{Root, Stack, down, up};

/// What `lab tour` is told.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  lab tour\n  lab tour --pause\n  lab tour --json > tour.json")]
pub struct Arguments {
    /// Waits for Enter at each step and prints the command that does it
    #[arg(long)]
    pause: bool,
    /// Prints the report as JSON; what a person reads goes to standard error
    #[arg(long)]
    json: bool,
    /// The same seed gives the same history and the same requests
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests a second
    #[arg(long, default_value_t = 200.0)]
    rate: f64,
    /// Rows of notifications that are there before
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(i64).range(1_000..))]
    rows: i64,
    #[command(flatten)]
    servers: up::Servers,
}

/// Requests in flight at most: five seconds of the usual rate, so that a machine that is busy otherwise sheds
/// nothing.
const IN_FLIGHT: u32 = 1_000;
const PATIENCE: Duration = Duration::from_secs(10);
/// What chapter 0 needs.
const MVP: [&str; 5] = ["postgres-monolith", "postgres-services", "kafka", "sandbox", "monolith"];

/// Walks the tour; exit code 1 if anything was lost, doubled, out of order, stale or failed.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let (begun, started_at) = (Instant::now(), Clock::system().now());
    let root = Root::find()?;
    let screen = Screen::new(arguments.json);
    let stack = fresh(&root, &arguments, &screen).await?;
    let before = Before::read(&stack).await?;
    let (guide, world) = begin(&root, &stack, &arguments, screen).await?;
    let (guide, load) = walk(guide, &stack).await?;
    guide
        .screen
        .say("\nThe load has ended. Waiting for mails and events, then comparing with the ledger.");
    settle::converge(&world, &guide.client).await?;
    let verdict = settle::verdict(&root, &stack, &world, before).await?;
    let total = load.total();
    let report = TourReport {
        schema: 1,
        commit: commit(&root).await,
        seed: arguments.seed,
        started_at: started_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        broker: "kafka",
        postgres: server_version(&stack).await.ok(),
        seconds: begun.elapsed().as_secs_f64(),
        verdict,
        requests: Requests { sent: total.sent, ok: total.ok, failed: total.failed },
        chapters: guide.chapters,
        switches: guide.switches,
        failures: load.failures().to_vec(),
    };
    finish(&root, &guide.screen, &report, arguments.json)
}

/// A stack with what chapter 0 needs, and a company's history in it.
async fn fresh(root: &Root, arguments: &Arguments, screen: &Screen) -> Result<Stack> {
    let stopped = down::stop(root).await?;
    if stopped > 0 {
        screen.say(&format!("An earlier stack was stopped and removed ({stopped} processes)."));
    }
    if root.logs().exists() {
        fs::remove_dir_all(root.logs())?;
    }
    screen.say("Starting the servers and the monolith.");
    let only = MVP.map(str::to_owned).to_vec();
    let stack =
        up::start(root, &up::Arguments { only, servers: arguments.servers.clone() }).await?;
    screen.say("Writing a company's history.");
    let rows = seed(stack.database("monolith")?, arguments.rows, arguments.seed).await?;
    screen.say(&format!("{rows} rows of notifications are there."));
    Ok(stack)
}

/// Signs people in and begins the load.
async fn begin(
    root: &Root,
    stack: &Stack,
    arguments: &Arguments,
    screen: Screen,
) -> Result<(Guide, Arc<Mutex<World>>)> {
    let (clients, teams) = people::sign_in(stack, chapters::MONOLITH).await?;
    fs::create_dir_all(root.tour())?;
    let ledger =
        Ledger::create(&root.tour().join("ledger.jsonl")).context("failed to open the ledger")?;
    let world = Arc::new(Mutex::new(World::new(arguments.seed, clients, teams, ledger)));
    let client = Client::new(chapters::MONOLITH, PATIENCE);
    let options = Options { rate: arguments.rate, in_flight: IN_FLIGHT, seed: arguments.seed };
    let load = Load::start(client.clone(), world.clone(), options);
    screen.say(&format!("{} requests/s from now on.", arguments.rate));
    let guide = Guide {
        root: root.clone(),
        load,
        client,
        screen,
        pause: arguments.pause,
        chapters: Vec::new(),
        switches: Vec::new(),
    };
    Ok((guide, world))
}

/// What is left of a guide when the load has ended.
struct Walked {
    screen: Screen,
    client: Client,
    chapters: Vec<super::report::ChapterReport>,
    switches: Vec<super::report::Switch>,
}

async fn walk(mut guide: Guide, stack: &Stack) -> Result<(Walked, Report)> {
    let mut outcome = Ok(());
    for chapter in chapters::all(stack) {
        outcome = guide.chapter(&chapter).await;
        if outcome.is_err() {
            break;
        }
    }
    let load = guide.load.stop().await;
    if let Err(error) = outcome {
        for failure in load.failures() {
            guide.screen.say(&format!("  {failure}"));
        }
        return Err(error);
    }
    let Guide { screen, client, chapters, switches, .. } = guide;
    Ok((Walked { screen, client, chapters, switches }, load))
}

fn finish(root: &Root, screen: &Screen, report: &TourReport, json: bool) -> Result<ExitCode> {
    let file = root.tour().join("report.json");
    let text = serde_json::to_string_pretty(report)?;
    fs::write(&file, &text)?;
    if json {
        println!("{text}");
    }
    screen.say(&format!("\n{}\n\n{}", report.table(), report.verdict()));
    for finding in report.verdict.findings.iter().chain(&report.failures).take(40) {
        screen.say(&format!("  {finding}"));
    }
    screen.say(&format!("\n{:.0} s. The report: {}", report.seconds, file.display()));
    for (name, url) in Stack::of(root)?.urls {
        screen.say(&format!("  {name:<14} {url}"));
    }
    screen.say("Everything still runs; `make down` stops it.");
    Ok(if report.clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn commit(root: &Root) -> Option<String> {
    let output = tokio::process::Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(root.path())
        .output()
        .await
        .ok()?;
    let commit = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!commit.is_empty()).then_some(commit)
}

async fn server_version(stack: &Stack) -> Result<String> {
    let mut database = PgConnection::connect(stack.database("monolith")?).await?;
    Ok(sqlx::query_scalar("SHOW server_version").fetch_one(&mut database).await?)
}
