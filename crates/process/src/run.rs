//! From `main` to a running body and back.

use std::{process::ExitCode, time::Duration};

use anyhow::Context;
use clap::{Args, Command, FromArgMatches, Parser};
use tokio::signal::unix::{SignalKind, signal};

use crate::{Shutdown, metrics::Endpoint, telemetry::Telemetry};

/// How long a body may take to end once that was requested.
const HARD_DEADLINE: Duration = Duration::from_secs(10);

/// Parses the configuration, starts logs, traces and metrics under the service's `name`, and runs the body
/// until it returns. SIGTERM and SIGINT request the end; ten seconds later the process ends in any case.
///
/// The exit status is 0 when the body returned `Ok`, else 1.
pub fn run<C, F, Fut>(name: &'static str, body: F) -> ExitCode
where
    C: Parser,
    F: FnOnce(C, Shutdown) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    let (config, endpoint) = parse::<C>().unwrap_or_else(|error| error.exit());
    let telemetry = match Telemetry::start(name) {
        Ok(telemetry) => telemetry,
        Err(error) => return failed(name, &error),
    };
    let outcome = start(config, &endpoint, body);
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(process = name, "{error:#}");
            failed(name, &error)
        }
    };
    telemetry.end();
    code
}

fn failed(name: &str, error: &anyhow::Error) -> ExitCode {
    eprintln!("{name}: {error:#}");
    ExitCode::FAILURE
}

/// The body's own flags and those that every process has.
fn parse<C: Parser>() -> Result<(C, Endpoint), clap::Error> {
    let matches = command::<C>().try_get_matches()?;
    Ok((C::from_arg_matches(&matches)?, Endpoint::from_arg_matches(&matches)?))
}

fn command<C: Parser>() -> Command {
    Endpoint::augment_args(C::command())
}

fn start<C, F, Fut>(config: C, endpoint: &Endpoint, body: F) -> anyhow::Result<()>
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
        endpoint.serve(shutdown.clone()).await;
        tokio::select! {
            outcome = body(config, shutdown) => outcome,
            () = deadline => anyhow::bail!("failed to end within {HARD_DEADLINE:?}"),
        }
    });
    runtime.shutdown_timeout(Duration::from_secs(1));
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Serves tea.
    #[derive(Parser)]
    struct Teapot {}

    #[test]
    fn a_process_describes_itself_by_its_own_words() {
        let help = command::<Teapot>().render_help().to_string();
        assert!(help.starts_with("Serves tea\n"), "{help}");
        assert!(help.contains("--metrics <ADDRESS>"), "{help}");
    }
}
