//! The whole tour, from a fresh stack to the verdict.

use std::fs;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use ficus_load::{Client, Ledger, Load, Options};
use ficus_process::Clock;

use super::guide::{Guide, MONOLITH};
use super::pages;
use super::report::{Broke, HTML, JSON, Moment, Pauses, Requests, TourReport};
use crate::head::{Head, server_version};
use crate::interrupted::interrupted;
use crate::judge::Verdict;
use crate::judge::facts::Before;
use crate::judge::settle::{self, Doubt};
use crate::print;
use crate::scenario::{World, people};
use crate::screen::Screen;
use crate::seed::seed;
use crate::stack::memory::Memory;
use crate::stack::{Root, Stack, down, up};

/// What `lab tour` is told.
#[derive(Args, Debug)]
#[command(after_help = "\
Exit status: 0 only if nothing was lost, doubled, out of order or stale, no request failed, and of 20 switches or more
no more than one in 20 (of 100 or more one in 100) stopped writes for longer than 250 ms.

Examples:
  lab tour
  lab tour --pause                      # step by step; docs/tour tells the same
  lab tour --switches 20 --rate 560     # write pauses at about 200 writes a second
  lab tour --json > tour.json

It leaves report.html and report.json in .ficus/tour.")]
pub struct Arguments {
    /// Waits for Enter at each step and prints the command that does it
    #[arg(long)]
    pause: bool,
    /// Prints the report as JSON; what a person reads goes to standard error
    #[arg(long)]
    json: bool,
    /// The same seed gives the same history, and draws requests in the same way
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests a second; about 32 of 100 are writes
    #[arg(long, default_value_t = 200.0, value_parser = rate)]
    rate: f64,
    /// Changes of owner in chapter 4, at least; it goes there and back and ends at the service
    #[arg(long, default_value_t = pages::SWITCHES, value_name = "N")]
    switches: usize,
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

/// Walks the tour; exit code 1 if anything was lost, doubled, out of order, stale or failed, or it broke.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let root = Root::find()?;
    fs::create_dir_all(root.tour())?;
    TourReport::remove(&root.tour())?;
    let head = Head::begin(&root, arguments.seed).await;
    let report = TourReport { head, rate: arguments.rate, ..TourReport::default() };
    let screen = Screen::new(arguments.json);
    let mut tour =
        Tour { begun: Instant::now(), root, arguments, screen, report, at: "starting".to_owned() };
    if let Err(error) = tour.whole().await {
        tour.report.broke = Some(Broke { step: tour.at.clone(), why: format!("{error:#}") });
    }
    tour.finish()
}

struct Tour {
    begun: Instant,
    root: Root,
    arguments: Arguments,
    screen: Screen,
    report: TourReport,
    /// What is being done.
    at: String,
}

impl Tour {
    async fn whole(&mut self) -> Result<()> {
        let stack = self.fresh().await?;
        self.report.head.postgres = server_version(&stack).await.ok();
        let before = Before::read(&stack).await?;
        "signing people in".clone_into(&mut self.at);
        let (guide, world) = self.begin(&stack).await?;
        let client = guide.client.clone();
        let length = self.walk(guide).await?;
        "the judgement".clone_into(&mut self.at);
        self.screen.say(
            "\nThe load has ended. Waiting for mails and events, then comparing with the ledger.",
        );
        let verdict = tokio::select! {
            verdict = self.judge(&stack, &world, &client, before) => verdict?,
            () = interrupted() => bail!("it was interrupted"),
        };
        self.report.writes_per_second = Some(a_second(verdict.acknowledged, length));
        self.report.verdict = Some(verdict);
        self.report.memory = Memory::of(&Stack::of(&self.root)?.processes);
        Ok(())
    }

    /// A stack with what chapter 0 needs, and a company's history in it.
    async fn fresh(&self) -> Result<Stack> {
        let stopped = down::stop(&self.root).await?;
        if stopped > 0 {
            let text = format!("An earlier stack was stopped and removed ({stopped} processes).");
            self.screen.say(&text);
        }
        if self.root.logs().exists() {
            fs::remove_dir_all(self.root.logs())?;
        }
        self.screen.say("Starting the servers and the monolith.");
        let only = MVP.map(str::to_owned).to_vec();
        let wanted =
            up::Arguments { only, servers: self.arguments.servers.clone(), ..Default::default() };
        let stack = up::start(&self.root, &wanted).await?;
        self.screen.say("Writing a company's history.");
        let (rows, number) = (self.arguments.rows, self.arguments.seed);
        let rows = seed(stack.database("monolith")?, rows, number).await?;
        self.screen.say(&format!("{rows} rows of notifications are there."));
        Ok(stack)
    }

    /// Signs people in and begins the load.
    async fn begin(&mut self, stack: &Stack) -> Result<(Guide, Arc<Mutex<World>>)> {
        let (clients, teams) = people::sign_in(stack, MONOLITH, people::FEW).await?;
        let Arguments { rate, seed, .. } = self.arguments;
        let ledger = Ledger::create(&self.root.tour().join("ledger.jsonl"))
            .context("failed to open the ledger")?;
        let world = Arc::new(Mutex::new(World::new(seed, clients, teams, ledger)));
        let client = Client::new(MONOLITH, PATIENCE);
        let options = Options { rate, in_flight: IN_FLIGHT, seed };
        self.report.first_request_seconds = Some(self.begun.elapsed().as_secs_f64());
        let load_began = Clock::system().now();
        let load = Load::start(client.clone(), world.clone(), options)?;
        self.screen.say(&format!("{rate} requests/s from now on."));
        let guide = Guide {
            root: self.root.clone(),
            load,
            load_began,
            client,
            screen: Screen::new(self.arguments.json),
            pause: self.arguments.pause,
            at: String::new(),
            chapters: Vec::new(),
            switches: Vec::new(),
        };
        Ok((guide, world))
    }

    /// Walks, ends the load and puts down what was seen, also of a walk that broke; answers how long it was.
    async fn walk(&mut self, mut guide: Guide) -> Result<Duration> {
        let chapters = pages::all(self.arguments.switches);
        let outcome = tokio::select! {
            outcome = guide.walk(&chapters) => outcome,
            () = interrupted() => Err(anyhow::anyhow!("it was interrupted")),
        };
        let length = guide.load.elapsed();
        let load = guide.load.stop().await;
        let (total, report) = (load.total(), &mut self.report);
        report.requests = Requests { sent: total.sent, ok: total.ok, failed: total.failed };
        report.series = Moment::all(&load, length);
        report.failures = load.failures().to_vec();
        report.pauses = Pauses::of(&guide.switches);
        report.chapters = guide.chapters;
        report.switches = guide.switches;
        self.at = guide.at;
        outcome.map(|()| length)
    }

    async fn judge(
        &self,
        stack: &Stack,
        world: &Arc<Mutex<World>>,
        client: &Client,
        before: Before,
    ) -> Result<Verdict> {
        settle::converge(world, client).await?;
        settle::verdict(&self.root, stack, world, before, &Doubt::default()).await
    }

    /// Leaves the report and says what is in it.
    fn finish(mut self) -> Result<ExitCode> {
        self.report.seconds = self.begun.elapsed().as_secs_f64();
        let (report, screen, folder) = (&self.report, &self.screen, self.root.tour());
        let json = report.write(&folder)?;
        if self.arguments.json {
            print::line(json)?;
        }
        screen.say(&format!("\n{}", report.verdict_text()));
        let findings = report.verdict.iter().flat_map(|verdict| &verdict.findings);
        for finding in findings.chain(&report.failures).take(10) {
            screen.say(&format!("  {finding}"));
        }
        screen.say(&format!("\n{}\n", report.table()));
        if let Some(pauses) = &report.pauses {
            screen.say(&pauses.text());
        }
        if !report.memory.is_empty() {
            screen.say(&format!("\n{}\n", report.memory_table()));
        }
        screen.say(&format!(
            "\n{:.0} s. The report, for a browser and for programs:",
            report.seconds
        ));
        for name in [HTML, JSON] {
            screen.say(&format!("  {}", folder.join(name).display()));
        }
        if let Ok(stack) = Stack::of(&self.root) {
            screen.say("Everything still runs; `make down` stops it:");
            for (name, url) in stack.urls {
                screen.say(&format!("  {name:<14} {url}"));
            }
        }
        Ok(if report.clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

#[expect(clippy::cast_precision_loss, reason = "writes of a tour are far below 2^52")]
fn a_second(writes: usize, length: Duration) -> f64 {
    writes as f64 / length.as_secs_f64()
}

/// Requests a second.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "it is no number".to_owned())?;
    if (1.0..=10_000.0).contains(&rate) {
        Ok(rate)
    } else {
        Err("1 to 10000 make sense".to_owned())
    }
}
