//! The command line: one variant a command, each handed to the module that does it.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::stack::{down, logs, ps, up};
use crate::{bench, broker, faults, kill, scratch, seed, tour};

/// Runs Trellis on one machine: as ordinary processes, without Docker and without root.
#[derive(Parser, Debug)]
#[command(
    name = "lab",
    version,
    propagate_version = true,
    after_help = "\
Examples:
  lab up                     # everything, with the URLs printed
  lab ps                     # what runs, and whether it answers
  lab logs gateway | tail    # what a process wrote
  lab tour                   # a fresh stack, and the whole migration under load
  lab kill --for 5m --seed 7 # kill whatever runs, and see that nothing is lost
  lab down                   # stop all of it

`lab <command> --help` has more."
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Starts Trellis and what it needs
    Up(up::Arguments),
    /// Stops every process of it, frees the ports and removes the servers' data
    Down,
    /// Shows the processes
    Ps(ps::Arguments),
    /// Shows what a process wrote
    Logs(logs::Arguments),
    /// Fills the monolith's database with a company's history
    Seed(seed::Arguments),
    /// Walks the migration under load, and judges it at the end
    Tour(tour::Arguments),
    /// Kills processes at random under load, and judges what is left
    Kill(kill::Arguments),
    /// Takes out one mechanism at a time, and has the judge find it
    Faults(faults::Arguments),
    /// Measures, each figure beside an opponent or a floor
    Bench(bench::Arguments),
    /// Runs a command with servers of its own, and stops them when it ends
    Scratch(scratch::Arguments),
    /// Becomes a broker, for a test that kills it
    #[command(hide = true)]
    Broker(broker::Arguments),
}

impl Cli {
    /// Does what was asked for; the exit code is the command's own.
    pub async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Up(arguments) => up::run(arguments).await,
            Command::Down => down::run().await,
            Command::Ps(arguments) => ps::run(arguments).await,
            Command::Logs(arguments) => logs::run(&arguments),
            Command::Seed(arguments) => seed::run(arguments).await,
            Command::Tour(arguments) => Box::pin(tour::run(arguments)).await,
            Command::Kill(arguments) => Box::pin(kill::run(arguments)).await,
            Command::Faults(arguments) => Box::pin(faults::run(arguments)).await,
            Command::Bench(arguments) => Box::pin(bench::run(arguments)).await,
            Command::Scratch(arguments) => Box::pin(scratch::run(arguments)).await,
            Command::Broker(arguments) => broker::run(arguments).await,
        }
    }
}
