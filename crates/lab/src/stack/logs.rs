//! Shows what a process wrote.

use std::fs::File;
use std::io;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;

use super::{Root, programs};

/// What `lab logs` is told.
#[derive(Args, Debug)]
#[command(after_help = "\
A line is a JSON object; servers write text. The files are in .ficus/log.

Examples:
  lab logs gateway | tail
  lab logs monolith | grep WARN
  tail -f .ficus/log/gateway.log    # as it is written")]
pub struct Arguments {
    /// The process, as `lab ps` names it
    name: String,
}

/// Copies the process's log to standard output, also after it was stopped.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let log = Root::find()?.log(programs::named(&arguments.name)?.name);
    let mut file = File::open(&log)
        .with_context(|| format!("failed to open {}; is anything up, or was it?", log.display()))?;
    io::copy(&mut file, &mut io::stdout())?;
    Ok(ExitCode::SUCCESS)
}
