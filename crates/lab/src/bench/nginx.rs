//! nginx as it is installed on this machine, by `deploy/bench/nginx.conf`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

use crate::servers::{Launch, ports};
use crate::stack::Root;

/// Where it listens, by the file.
pub const ADDRESS: &str = "http://127.0.0.1:8211";
const PORT: u16 = 8211;

/// Ends when it is dropped, its workers too.
pub struct Nginx {
    master: Child,
    /// As `nginx/1.22.1`.
    pub version: String,
}

impl Nginx {
    pub async fn start(root: &Root) -> Result<Self> {
        let program = find().context(
            "nginx is neither on PATH nor in /usr/sbin; install it (Debian, Ubuntu: apt-get install \
             nginx-light; macOS: brew install nginx)",
        )?;
        let folder = root.data().join("nginx");
        fs::create_dir_all(&folder)?;
        let told = std::process::Command::new(&program).arg("-v").output()?;
        let version = String::from_utf8_lossy(&told.stderr);
        let version = version.trim().trim_start_matches("nginx version: ").to_owned();
        let config = root.path().join("deploy/bench/nginx.conf");
        let launch = Launch {
            program,
            arguments: vec![
                "-p".to_owned(),
                folder.display().to_string(),
                "-c".to_owned(),
                config.display().to_string(),
            ],
            environment: Vec::new(),
            directory: folder.clone(),
            owner: None,
        };
        let mut command = launch.command(&root.logs().join("nginx.log"))?;
        let started = Self { master: command.spawn().context("failed to start nginx")?, version };
        ports::opened(PORT, Duration::from_secs(5)).await?;
        Ok(started)
    }

    /// Of its master, whose children do the work.
    pub fn pid(&self) -> Result<i32> {
        let pid = self.master.id().context("nginx has ended")?;
        Ok(i32::try_from(pid)?)
    }

    /// Lets what is under way end.
    pub async fn stop(mut self) -> Result<()> {
        self.signal(Signal::SIGQUIT)?;
        self.master.wait().await?;
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill(Pid::from_raw(self.pid()?), signal)?)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // A master that is killed leaves its workers, and they the port. One that was waited for has no pid any more.
        let _ = self.signal(Signal::SIGTERM);
    }
}

fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain([Path::new("/usr/sbin").to_owned()]);
    folders.map(|folder| folder.join("nginx")).find(|program| program.exists())
}
