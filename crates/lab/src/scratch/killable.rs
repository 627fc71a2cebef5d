//! A PostgreSQL server that tests may kill: it is started again whenever it dies.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::{PATIENCE, start};
use crate::servers::Postgres;
use crate::servers::postgres::{self, Durability};

/// Between two starts: what a killed server has left may be in the next one's way for a moment.
const PAUSE: Duration = Duration::from_millis(100);

/// The server, kept up until it is stopped.
pub struct Killable {
    stop: oneshot::Sender<()>,
    keeping: JoinHandle<()>,
}

impl Killable {
    /// Unlike with the other scratch servers, what a crash loses is the point.
    pub async fn start(postgres: &Postgres, data: PathBuf, port: u16) -> Result<Self> {
        postgres.create(&data, port, Durability::Lazy).await?;
        let server = Server { postgres: postgres.clone(), data };
        let child = server.start()?;
        postgres::ready(port, PATIENCE).await?;
        let (stop, stopped) = oneshot::channel();
        let keeping = tokio::spawn(server.keep(child, stopped));
        Ok(Self { stop, keeping })
    }

    pub async fn stop(self) {
        // Without a receiver it has ended by itself.
        let _ = self.stop.send(());
        let _ = self.keeping.await;
    }
}

struct Server {
    postgres: Postgres,
    data: PathBuf,
}

impl Server {
    fn start(&self) -> Result<Child> {
        start(&self.postgres.server(&self.data), &self.data.with_extension("log"))
    }

    async fn keep(self, mut child: Child, mut stopped: oneshot::Receiver<()>) {
        loop {
            tokio::select! {
                _ = child.wait() => {}
                _ = &mut stopped => return end(child).await,
            }
            tokio::time::sleep(PAUSE).await;
            child = match self.start() {
                Ok(child) => child,
                Err(error) => {
                    eprintln!("lab: the server that tests may kill is gone: {error:#}");
                    return;
                }
            };
        }
    }
}

/// Asks for a fast shutdown and waits for it.
async fn end(mut child: Child) {
    let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) else { return };
    let _ = kill(Pid::from_raw(pid), Signal::SIGINT);
    if tokio::time::timeout(Duration::from_secs(10), child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
