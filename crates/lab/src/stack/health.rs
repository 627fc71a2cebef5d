//! Waiting until a process answers.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use hyper_util::client::legacy;
use hyper_util::rt::TokioExecutor;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::programs::Health;
use super::{Entry, programs};
use crate::request;
use crate::servers::{ports, postgres};

const PATIENCE: Duration = Duration::from_mins(1);
const ANSWER: Duration = Duration::from_secs(10);

/// Waits until the process answers; an error, with the end of its log, if it ends before.
pub async fn wait(entry: &Entry) -> Result<()> {
    let health = programs::named(&entry.name)?.health;
    let begun = Instant::now();
    loop {
        let Err(error) = check(health).await else { return Ok(()) };
        if !entry.alive() {
            bail!("{} has ended; the end of {}:\n{}", entry.name, entry.log.display(), tail(entry));
        }
        if begun.elapsed() > PATIENCE {
            return Err(error).with_context(|| {
                format!("{} does not answer; its log is {}", entry.name, entry.log.display())
            });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Waits until something answers that the stack does not know of.
pub async fn until(health: Health) -> Result<()> {
    let begun = Instant::now();
    while let Err(error) = check(health).await {
        if begun.elapsed() > PATIENCE {
            return Err(error);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// Whether it answers now.
pub async fn check(health: Health) -> Result<()> {
    tokio::time::timeout(ANSWER, ask(health)).await.context("no answer within ten seconds")?
}

async fn ask(health: Health) -> Result<()> {
    match health {
        Health::Postgres(port) => postgres::ready(port, Duration::ZERO).await,
        Health::Port(port) => ports::opened(port, Duration::ZERO).await,
        Health::Http(port) => {
            let (status, _) = request::get(&format!("http://127.0.0.1:{port}"), "/healthz").await?;
            ensure!(status == 200, "GET /healthz answered {status}");
            Ok(())
        }
        Health::Grpc(port) => {
            let origin = http::Uri::try_from(format!("http://127.0.0.1:{port}"))?;
            let channel =
                legacy::Client::builder(TokioExecutor::new()).http2_only(true).build_http();
            let mut client = HealthClient::with_origin(channel, origin);
            let answer = client.check(HealthCheckRequest::default()).await?.into_inner();
            ensure!(answer.status() == ServingStatus::Serving, "health is {:?}", answer.status());
            Ok(())
        }
    }
}

/// The last lines of a process's log.
pub fn tail(entry: &Entry) -> String {
    let text = std::fs::read(&entry.log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}
