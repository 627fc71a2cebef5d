//! The command line: one variant a command, each handed to the module that does it.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::scratch;

/// Runs Trellis on one machine: as ordinary processes, without Docker and without root.
#[derive(Parser, Debug)]
#[command(name = "lab", version, propagate_version = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs a command with servers of its own, and stops them when it ends.
    Scratch(scratch::Arguments),
}

impl Cli {
    /// Does what was asked for; the exit code is the command's own.
    pub async fn run(self) -> Result<ExitCode> {
        match self.command {
            Command::Scratch(arguments) => scratch::run(arguments).await,
        }
    }
}
