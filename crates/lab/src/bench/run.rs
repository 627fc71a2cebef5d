//! The command.

use std::process::ExitCode;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};
use comfy_table::{Table, presets};
use serde::Serialize;

use super::figure::{COLUMNS, Figure};
use super::{capture, copy, felt, hop, idle, load, relay, signup, switch};
use crate::head::{Head, server_version};
use crate::print;
use crate::screen::Screen;
use crate::stack::{Root, Stack, down, up};

/// What `lab bench` is told.
#[derive(Args, Debug)]
#[command(after_help = "\
A stack of this clone that is up is stopped and removed first; each benchmark starts its own. Contenders take turns,
forth and back; the ratio is ours by the opponent's, with an interval of 95 %, and where that holds 1 there is no
verdict. docs/bench.md tells how each figure is measured. Only a release build is measured.

Examples:
  make bench BENCH=relay
  target/release/lab bench idle hop
  target/release/lab bench switch --switches 20
  target/release/lab bench --json > bench.jsonl    # one object a figure and line")]
pub struct Arguments {
    /// Which [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<Bench>,
    /// How often the contenders take turns
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(2..))]
    rounds: u16,
    /// Changes of owner that `switch` makes
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u16).range(2..))]
    switches: u16,
    /// Writes a second that `switch` makes
    #[arg(long, default_value_t = 1000.0, value_parser = crate::tour::rate)]
    rate: f64,
    /// The same seed gives the same history, and draws requests in the same way
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prints figures as JSON lines; what a person reads goes to standard error
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    servers: up::Servers,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Bench {
    /// Memory and start-up of every process
    Idle,
    /// A request through the gateway, beside nginx
    Hop,
    /// Updates of a table whose changes are captured, beside the same without
    Capture,
    /// The copy of a capability's rows, beside COPY and logical replication
    Copy,
    /// How long requests take while a capability is copied, beside none
    Felt,
    /// What a request costs the load tester, beside wrk and h2load
    Load,
    /// The relay's backlog, beside a raw producer, and how long an event takes
    Relay,
    /// Sign-ups while the mail server has stopped, and beside inline mail
    Signup,
    /// The write pause of changes of owner under load
    Switch,
}

/// What every benchmark stands on.
pub(super) struct Ground {
    pub root: Root,
    pub servers: up::Servers,
    pub screen: Screen,
    pub rounds: usize,
    pub switches: u16,
    pub rate: f64,
    pub seed: u64,
}

impl Ground {
    /// A fresh stack, of only these processes if any are named.
    pub async fn fresh(&self, only: &[&str]) -> Result<Stack> {
        down::stop(&self.root).await?;
        let only = only.iter().map(|name| (*name).to_owned()).collect();
        let wanted = up::Arguments { only, servers: self.servers.clone(), ..Default::default() };
        up::start(&self.root, &wanted).await
    }
}

/// A figure as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    head: &'a Head,
    #[serde(flatten)]
    figure: &'a Figure,
}

/// Measures what was asked for; exit code 1 if something could not be measured, though the rest was.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    ensure!(!cfg!(debug_assertions), "only a release build is measured: make bench");
    let Arguments { names, rounds, switches, rate, seed, json, servers } = arguments;
    let root = Root::find()?;
    let head = Head::begin(&root, seed).await;
    let (screen, rounds) = (Screen::new(json), usize::from(rounds));
    let ground = Ground { root, servers, screen, rounds, switches, rate, seed };
    let names = if names.is_empty() { Bench::value_variants() } else { &names };
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    table.set_header(COLUMNS);
    let mut failed = Vec::new();
    for name in names {
        let figures = match measured(&ground, *name).await {
            Ok(figures) => figures,
            Err(error) => {
                ground.screen.say(&format!("  {error:#}"));
                failed.push(format!("{error}"));
                // Some of it may have been stopped or changed.
                down::stop(&ground.root).await?;
                continue;
            }
        };
        for figure in figures {
            table.add_row(figure.row());
            if json {
                let head = &Head { postgres: version(&ground.root).await, ..head.clone() };
                print::line(serde_json::to_string(&Line { head, figure: &figure })?)?;
            } else if !figure.notes.is_empty() {
                ground.screen.say(&format!("  {}: {}", figure.name, figure.notes));
            }
        }
    }
    down::stop(&ground.root).await?;
    ground.screen.say(&format!("\n{table}"));
    if failed.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    ground.screen.say(&format!("\n{}", failed.join("\n")));
    Ok(ExitCode::FAILURE)
}

async fn measured(ground: &Ground, name: Bench) -> Result<Vec<Figure>> {
    let told = name.to_possible_value();
    let told = told.as_ref();
    let help = told.and_then(|told| told.get_help()).map(ToString::to_string).unwrap_or_default();
    let name_text = told.map_or_else(String::new, |told| told.get_name().to_owned());
    ground.screen.say(&format!("{name_text}: {help}"));
    let figures = match name {
        Bench::Idle => idle::measure(ground).await,
        Bench::Hop => hop::measure(ground).await,
        Bench::Capture => capture::measure(ground).await,
        Bench::Copy => copy::measure(ground).await,
        Bench::Felt => Box::pin(felt::measure(ground)).await,
        Bench::Load => load::measure(ground).await,
        Bench::Relay => relay::measure(ground).await,
        Bench::Signup => signup::measure(ground).await,
        Bench::Switch => Box::pin(switch::measure(ground)).await,
    };
    figures.with_context(|| format!("failed to measure {name_text}"))
}

async fn version(root: &Root) -> Option<String> {
    server_version(&Stack::of(root).ok()?).await.ok()
}
