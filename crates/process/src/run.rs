//! From `main` to a running body and back.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::{EnvFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::Shutdown;

/// How long a body may take to end once that was requested.
const HARD_DEADLINE: Duration = Duration::from_secs(10);

/// Parses the configuration, logs as JSON to standard error (`RUST_LOG` filters), and runs the body until it
/// returns. SIGTERM and SIGINT request the end; ten seconds later the process ends in any case.
///
/// The exit status is 0 when the body returned `Ok`, else 1.
pub fn run<C, F, Fut>(name: &'static str, body: F) -> ExitCode
where
    C: Parser,
    F: FnOnce(C, Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let config = C::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::registry()
        .with(filter)
        .with(fmt::layer().json().flatten_event(true).with_writer(std::io::stderr))
        .init();
    let outcome = start(config, body);
    if let Err(error) = outcome {
        tracing::error!(process = name, "{error:#}");
        eprintln!("{name}: {error:#}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn start<C, F, Fut>(config: C, body: F) -> anyhow::Result<()>
where
    F: FnOnce(C, Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("failed to start the runtime")?;
    let shutdown = Shutdown::new();
    let outcome = runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let requested = shutdown.clone();
        let deadline = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            requested.request();
            tokio::time::sleep(HARD_DEADLINE).await;
        };
        tokio::select! {
            outcome = body(config, shutdown) => outcome,
            () = deadline => anyhow::bail!("failed to end within {HARD_DEADLINE:?}"),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}
