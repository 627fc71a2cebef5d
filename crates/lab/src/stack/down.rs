//! Stops what is up and removes the servers' data.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use super::{Entry, Root, Stack, process, programs};
use crate::print;

const PATIENCE: Duration = Duration::from_secs(12);

/// Stops the stack of this clone.
pub async fn run() -> Result<ExitCode> {
    let root = Root::find()?;
    match stop(&root).await? {
        0 => print::line("nothing was up")?,
        stopped => print::line(format!("stopped {stopped} processes; their ports are free"))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Stops every process by its pid, programs before the servers they store in, and removes the servers' data
/// and the mails. Logs and reports stay. Answers how many processes were running.
pub async fn stop(root: &Root) -> Result<usize> {
    let processes = Stack::read(root)?.unwrap_or_default().processes;
    let running = processes.iter().filter(|entry| entry.alive()).count();
    let (servers, programs): (Vec<_>, Vec<_>) = processes
        .iter()
        .partition(|entry| programs::named(&entry.name).is_ok_and(programs::Program::is_server));
    futures::future::join_all(programs.into_iter().map(stop_one)).await;
    futures::future::join_all(servers.into_iter().map(stop_one)).await;
    for file in [root.stack_file(), root.mail_file(), root.spans_file()] {
        if file.exists() {
            fs::remove_file(file)?;
        }
    }
    let data = root.data();
    if data.exists() {
        fs::remove_dir_all(&data)
            .with_context(|| format!("failed to remove {}", data.display()))?;
    }
    Ok(running)
}

async fn stop_one(entry: &Entry) {
    let how = programs::named(&entry.name).map_or(Signal::SIGTERM, |program| program.stop);
    if process::stop(entry, how, PATIENCE).await {
        eprintln!("lab: {} did not end when asked and was killed", entry.name);
    }
}
