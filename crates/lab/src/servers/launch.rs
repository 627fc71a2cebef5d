//! How a process is started: what to run, as whom, and where its output goes.

use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use tokio::process::{Child, Command};

/// The user that a server runs as when it refuses to run as root.
#[derive(Debug, Clone, Copy)]
pub struct Owner {
    pub uid: u32,
    pub gid: u32,
}

/// One process, ready to be started.
#[derive(Debug, Clone)]
pub struct Launch {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    pub directory: PathBuf,
    /// `None`: the user who runs `lab`.
    pub owner: Option<Owner>,
}

impl Launch {
    /// Starts the process in a process group of its own, so that Ctrl-C reaches `lab` and not it. Output is
    /// appended to `log`.
    pub fn start(&self, log: &Path) -> Result<Child> {
        self.command(log)?
            .process_group(0)
            .spawn()
            .with_context(|| format!("failed to start {}", self.program.display()))
    }

    /// The command, with its output appended to `log`.
    pub fn command(&self, log: &Path) -> Result<Command> {
        let output = OpenOptions::new()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("failed to open {}", log.display()))?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        if let Some(owner) = self.owner {
            command.uid(owner.uid).gid(owner.gid);
        }
        Ok(command)
    }
}
