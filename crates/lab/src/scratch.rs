//! Servers for one command: two PostgreSQL servers, a third that tests may kill, and Kafka, on free ports, gone
//! when it ends.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::servers::postgres::{self, Durability};
use crate::servers::{Kafka, Launch, Postgres, ports};

mod killable;
mod migrated;

use killable::Killable;

const PATIENCE: Duration = Duration::from_mins(1);

/// What `lab scratch` is told.
#[derive(Args, Debug)]
#[command(after_help = "Example: lab scratch -- cargo test -p ficus-events")]
pub struct Arguments {
    /// The folder of PostgreSQL's programs [default: found on this machine]
    #[arg(long, value_name = "FOLDER")]
    postgres: Option<PathBuf>,
    /// A running broker to use instead of starting Kafka
    #[arg(long, value_name = "HOST:PORT")]
    kafka: Option<String>,
    /// Makes Trellis's databases and migrates them; sets `MONOLITH_DATABASE_URL` and its like
    #[arg(long)]
    migrated: bool,
    /// The command to run
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Runs the command with `FICUS_TEST_POSTGRES`, `FICUS_TEST_POSTGRES_2`, `FICUS_TEST_POSTGRES_3` and
/// `FICUS_TEST_KAFKA` set; answers its exit code.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let folder = env::temp_dir().join(format!("ficus-scratch-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let mut stops = Stops::listen()?;
    let outcome = tokio::select! {
        outcome = Servers::start(&arguments, &folder) => match outcome {
            Ok(servers) => {
                let code = with_servers(&arguments, &servers, &mut stops).await;
                servers.stop().await;
                code
            }
            Err(error) => Err(error),
        },
        () = stops.asked() => Ok(ExitCode::from(130)),
    };
    if outcome.is_ok() {
        fs::remove_dir_all(&folder)?;
    }
    outcome
}

async fn with_servers(
    arguments: &Arguments,
    servers: &Servers,
    stops: &mut Stops,
) -> Result<ExitCode> {
    let mut environment = servers.environment();
    if arguments.migrated {
        environment.extend(migrated::prepare([servers.ports[0], servers.ports[1]]).await?);
    }
    let [program, tail @ ..] = arguments.command.as_slice() else {
        anyhow::bail!("no command was given");
    };
    let mut child = Command::new(program)
        .args(tail)
        .envs(environment)
        .spawn()
        .with_context(|| format!("failed to run {program}"))?;
    let status = tokio::select! {
        status = child.wait() => status?,
        () = stops.asked() => {
            if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
                // It may have ended by the terminal's own Ctrl-C already.
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
            child.wait().await?
        }
    };
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(130)))
}

/// The servers that were started, in the order in which they are stopped.
struct Servers {
    running: Vec<(Child, Signal)>,
    killable: Killable,
    ports: [u16; 5],
    kafka: String,
}

impl Servers {
    async fn start(arguments: &Arguments, folder: &Path) -> Result<Self> {
        let postgres = Postgres::find(arguments.postgres.as_deref())?;
        let ports = ports::free::<5>()?;
        let brokers = start_kafka(arguments.kafka.as_deref(), folder, ports[3], ports[4]);
        let first = start_postgres(&postgres, folder.join("postgres-1"), ports[0]);
        let second = start_postgres(&postgres, folder.join("postgres-2"), ports[1]);
        let third = Killable::start(&postgres, folder.join("postgres-3"), ports[2]);
        let ((kafka, broker, taken), first, second, killable) =
            tokio::try_join!(brokers, first, second, third)?;
        eprintln!("lab: {}, {taken}", postgres.taken());
        let mut running = vec![(first, Signal::SIGINT), (second, Signal::SIGINT)];
        running.extend(broker.map(|broker| (broker, Signal::SIGKILL)));
        Ok(Self { running, killable, ports, kafka })
    }

    fn environment(&self) -> Vec<(String, String)> {
        vec![
            ("FICUS_TEST_POSTGRES".to_owned(), postgres::url(self.ports[0], "postgres")),
            ("FICUS_TEST_POSTGRES_2".to_owned(), postgres::url(self.ports[1], "postgres")),
            ("FICUS_TEST_POSTGRES_3".to_owned(), postgres::url(self.ports[2], "postgres")),
            ("FICUS_TEST_KAFKA".to_owned(), self.kafka.clone()),
        ]
    }

    async fn stop(self) {
        self.killable.stop().await;
        for (mut child, how) in self.running {
            let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) else { continue };
            let _ = kill(Pid::from_raw(pid), how);
            if tokio::time::timeout(Duration::from_secs(10), child.wait()).await.is_err() {
                let _ = child.kill().await;
            }
        }
    }
}

async fn start_postgres(postgres: &Postgres, data: PathBuf, port: u16) -> Result<Child> {
    postgres.create(&data, port, Durability::Scratch).await?;
    let child = start(&postgres.server(&data), &data.with_extension("log"))?;
    postgres::ready(port, PATIENCE).await?;
    Ok(child)
}

async fn start_kafka(
    given: Option<&str>,
    folder: &Path,
    port: u16,
    controller_port: u16,
) -> Result<(String, Option<Child>, String)> {
    if let Some(address) = given {
        return Ok((address.to_owned(), None, format!("Kafka at {address}")));
    }
    let kafka = Kafka::find().await?;
    let data = folder.join("kafka");
    kafka.create(&data, port, controller_port).await?;
    let child = start(&kafka.server(&data), &folder.join("kafka.log"))?;
    ports::opened(port, PATIENCE).await?;
    Ok((format!("127.0.0.1:{port}"), Some(child), kafka.taken()))
}

/// Unlike the stack's processes these end with `lab`.
fn start(launch: &Launch, log: &Path) -> Result<Child> {
    launch
        .command(log)?
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("failed to start {}", launch.program.display()))
}

/// Ctrl-C and SIGTERM.
struct Stops {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

impl Stops {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
