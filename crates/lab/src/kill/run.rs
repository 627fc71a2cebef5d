//! The whole run, from a fresh stack to the verdict.

use std::process::ExitCode;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum as _};
use ficus_load::Load;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::blow::{Blow, How, Victim};
use super::report::{BlowReport, KillReport, Requests, Struck};
use super::strike::{Executioner, at_rest, normal_again};
use crate::head::{Head, server_version};
use crate::interrupted::interrupted;
use crate::judge::mails::Crash;
use crate::judge::settle::{self, Doubt};
use crate::moves;
use crate::print;
use crate::scenario::people::FEW;
use crate::screen::Screen;
use crate::stack::{Root, Stack, programs, up};
use crate::tour;
use crate::trial::{Size, Trial};

/// What `lab kill` is told.
#[derive(Args, Debug)]
#[command(after_help = "\
A stack of this clone that is up is stopped and removed first. Each victim is started again a second after its
death, or as --away says, and the next blow falls when all is normal again. Notifications move there and back all the while.

Exit status: 0 only if nothing was lost, doubled, out of order or stale, nothing died by itself, all was normal soon
after each blow and until the next, most writes were acknowledged, and the owner changed all the while. Soon is 15 s from
the victim's restart; for requests 3 s from when a database answers; for events and mails --away longer, after a broker's
death 60 s from when it listens and as long again as it did not, and after one blow of every ten two minutes from
when the victim answers.

Examples:
  lab kill
  lab kill --for 5m --seed 7
  lab kill --kills 60
  lab kill --victims kafka,postgres-services --kills 10
  lab kill --victims kafka --kills 1 --away 30s
  lab kill --json > kill.json")]
pub struct Arguments {
    /// How long blows fall, as 90s or 5m
    #[arg(long = "for", default_value = "5m", value_name = "TIME", value_parser = time)]
    length: Duration,
    /// Ends after so many deaths, however long that takes; frozen leaders come on top
    #[arg(long, conflicts_with = "length", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    kills: Option<u64>,
    /// The same seed gives the same blows, and draws requests in the same way
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Requests a second; about 32 of 100 are writes
    #[arg(long, default_value_t = 200.0, value_parser = tour::rate)]
    rate: f64,
    /// Rows of notifications that are there before
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(i64).range(1_000..))]
    rows: i64,
    /// Only these are struck
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    victims: Vec<Victim>,
    /// Between a victim's death and its next start
    #[arg(long, default_value = "1s", value_name = "TIME", value_parser = time)]
    away: Duration,
    /// Prints the report as JSON; what a person reads goes to standard error
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: up::Servers,
}

const LEDGER: &str = "kill-ledger.jsonl";
/// Longer than a claim of a mail lasts that nobody renews.
const ECHO: Duration = Duration::from_secs(6);
/// How long what is asked for at the end may be refused.
const PATIENCE: Duration = Duration::from_mins(2);

/// Exit code 1 if anything was lost, doubled, out of order or stale, or it broke.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let root = Root::find()?;
    let screen = Screen::new(arguments.json);
    let head = Head::begin(&root, arguments.seed).await;
    let report = KillReport { head, ..KillReport::default() };
    let mut run = Run { root, arguments, screen, report };
    if let Err(error) = run.whole().await {
        // What broke first is the cause.
        run.report.broke.get_or_insert_with(|| format!("{error:#}"));
    }
    run.report.sum_up(run.arguments.away);
    if run.arguments.json {
        print::line(serde_json::to_string(&run.report)?)?;
    }
    let findings = run.report.verdict.iter().flat_map(|verdict| &verdict.findings);
    for finding in findings.take(20) {
        run.screen.say(&format!("  {finding}"));
    }
    run.screen.say(&format!("\n{}", run.report.text()));
    let (seed, ledger) = (run.arguments.seed, run.root.folder().join(LEDGER));
    run.screen.say(&format!(
        "`--seed {seed}` gives the same blows again. Every write is in {}, what the processes said in `lab logs NAME`.",
        ledger.display()
    ));
    run.screen.say("Everything still runs; `make down` stops it.");
    Ok(if run.report.clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

struct Run {
    root: Root,
    arguments: Arguments,
    screen: Screen,
    report: KillReport,
}

impl Run {
    async fn whole(&mut self) -> Result<()> {
        let Arguments { seed, rate, rows, .. } = self.arguments;
        self.screen.say("Starting everything, and writing a company's history.");
        let wanted =
            up::Arguments { servers: self.arguments.servers.clone(), ..Default::default() };
        let size = Size { rows, seed, rate, crowd: FEW };
        let trial = Trial::begin(&self.root, &wanted, size, LEDGER, false).await?;
        let Trial { stack, before, world, client, load } = trial;
        self.report.head.postgres = server_version(&stack).await.ok();
        self.screen.say(&format!("{rate} requests/s from now on. Notifications are made ready."));
        moves::prepare(&self.root).await.context("failed to make notifications ready")?;
        let backlog = Backlog::watch(&stack, load.begun())?;

        let stop = CancellationToken::new();
        let moving = tokio::spawn(moves::there_and_back(self.root.clone(), stop.clone()));
        let (struck, outcome) = self.strike(&load, &backlog).await;
        stop.cancel();
        let moved = moving.await.context("the moves have ended")?;
        self.report.refusals = moved.refused;
        self.report.seconds = load.elapsed().as_secs_f64();
        let counted = load.stop().await;
        let total = counted.total();
        self.report.requests =
            Requests { sent: total.sent, answered: total.answered, shed: total.shed };
        let never = Duration::from_secs(total.sent);
        let normal = |struck: &Struck| normal_again(&counted, struck.back).unwrap_or(never);
        let blows = struck.iter().map(|struck| {
            let asynchronous = backlog.caught_up_since(struck.answers).unwrap_or(never);
            BlowReport::new(struck, normal(struck), asynchronous)
        });
        self.report.blows = blows.collect();
        // A program that starts beside takes time from all.
        let rested = |struck: &Struck| (struck.at, normal(struck).max(struck.answers));
        let felt: Vec<_> = struck.iter().map(rested).collect();
        self.report.at_rest = at_rest(&counted, &felt);
        if let Err(error) = outcome {
            self.report.broke = Some(format!("{error:#}"));
        }

        self.screen
            .say("\nNo more blows. Waiting for mails and events, then comparing with the ledger.");
        // The last change is not one of those under blows.
        let under_blows = moves::owner(&self.root).await;
        self.report.switches = under_blows.map(|owner| owner.switches).unwrap_or_default();
        moves::rest_at_service(&self.root, PATIENCE).await?;
        settle::converge(&world, &client).await?;
        let differing = moves::differing(&self.root, PATIENCE).await?;
        // Who was frozen knows afterwards what it was doing.
        let forgot = |blow: &Blow| blow.how == How::Kill && blow.victim.mails();
        let forgetful = struck.iter().filter(|struck| forgot(&struck.blow));
        let crashes: Vec<Crash> = forgetful.map(|struck| struck.crash).collect();
        let doubt = Doubt { echo: ECHO, crashes, ..Doubt::default() };
        let mut verdict = settle::verdict(&self.root, &stack, &world, before, &doubt).await?;
        for differing in moved.differing.into_iter().chain(differing) {
            verdict.lose(&differing);
        }
        self.report.verdict = Some(verdict);
        let world = world.lock().unwrap_or_else(PoisonError::into_inner);
        self.report.signed_in_again = world.signed_in_again;
        Ok(())
    }

    /// Strikes until it has been long enough; what was struck is answered also where it broke.
    async fn strike(&mut self, load: &Load, backlog: &Backlog) -> (Vec<Struck>, Result<()>) {
        let Arguments { seed, length, kills, victims, servers, away, .. } = &self.arguments;
        let victims = if victims.is_empty() { Victim::value_variants() } else { victims };
        // A broker that was there before is somebody else's.
        let own = |victim: &&Victim| servers.kafka.is_none() || **victim != Victim::Kafka;
        let victims: Vec<Victim> = victims.iter().filter(own).copied().collect();
        if victims.is_empty() {
            return (Vec::new(), Err(anyhow::anyhow!("a broker given with --kafka is not killed")));
        }
        // Not the generator of the requests, which would repeat its numbers.
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(1 << 32));
        let interrupted = CancellationToken::new();
        tokio::spawn(interruption(interrupted.clone()));
        let (root, away) = (&self.root, *away);
        let executioner = Executioner { root, servers, load, backlog, away, interrupted };
        let begun = Instant::now();
        let mut struck = Vec::new();
        let mut deaths = 0;
        while kills.map_or(begun.elapsed() < *length, |kills| deaths < kills) {
            let blow = Blow::draw(&mut random, &victims);
            executioner.leave(blow.after).await;
            if executioner.interrupted.is_cancelled() {
                return (struck, Err(anyhow::anyhow!("it was interrupted")));
            }
            match executioner.strike(&blow).await {
                Ok(one) => {
                    let took = load.elapsed().saturating_sub(one.back).as_secs_f64();
                    let number = struck.len() + 1;
                    self.screen
                        .say(&format!("  {number}. {}; normal within {took:.1} s", blow.text()));
                    deaths += u64::from(blow.kills());
                    struck.push(one);
                }
                Err(error) => return (struck, Err(error)),
            }
            if let Err(error) = self.all_live() {
                return (struck, Err(error));
            }
        }
        (struck, Ok(()))
    }

    /// Nobody dies who was not struck.
    fn all_live(&self) -> Result<()> {
        let stack = Stack::of(&self.root)?;
        for program in &programs::PROGRAMS {
            if stack.named(program.name).is_ok_and(|entry| !entry.alive()) {
                bail!("{} ended without being struck; its log is in .ficus/log", program.name);
            }
        }
        Ok(())
    }
}

/// Ends the blows. The victim of the one that is under way is helped up first, or what waits for it would be lost.
async fn interruption(blows: CancellationToken) {
    interrupted().await;
    blows.cancel();
}

fn time(text: &str) -> Result<Duration, String> {
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
    let seconds = match (text.strip_suffix('s'), text.strip_suffix('m')) {
        (Some(seconds), _) => number(seconds),
        (_, Some(minutes)) => number(minutes).map(|minutes| minutes * 60),
        _ => None,
    };
    seconds.map(Duration::from_secs).ok_or_else(|| "write it as 90s or 5m".to_owned())
}
