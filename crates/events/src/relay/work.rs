//! The leader's loop: read, check, send, advance. A crash between any two of them repeats the page.

use std::time::{Duration, Instant};

use ficus_process::failpoint;

use super::{
    Relay, lease::Lease, measure, page, position, publisher::Publisher, source, versions::Versions,
};

const FASTEST_POLL: Duration = Duration::from_millis(5);
const SLOWEST_POLL: Duration = Duration::from_millis(50);
/// So often an idle relay confirms that there is nothing: a hand-over to another database's relay waits
/// for a snapshot that was taken after it began.
const CONFIRMATION: Duration = Duration::from_millis(500);
const AFTER_AN_ERROR: Duration = Duration::from_millis(500);

/// What one step found.
enum Step {
    Sent,
    Idle,
    LeaseLost,
}

/// What has to be forgotten after an error: then everything is read again from the stored position.
struct Memory {
    publisher: Option<Publisher>,
    versions: Versions,
    confirmed_at: Instant,
}

impl Memory {
    fn new() -> Self {
        Self { publisher: None, versions: Versions::default(), confirmed_at: Instant::now() }
    }
}

/// Publishes until the lease is lost.
pub async fn run(relay: &Relay, lease: &Lease) {
    let mut memory = Memory::new();
    let mut pause = FASTEST_POLL;
    loop {
        match step(relay, lease, &mut memory).await {
            Ok(Step::Sent) => pause = FASTEST_POLL,
            Ok(Step::Idle) => {
                let _ = tokio::time::timeout(pause, relay.committed.notified()).await;
                pause = (pause * 2).min(SLOWEST_POLL);
            }
            Ok(Step::LeaseLost) => return,
            Err(error) => {
                tracing::warn!(capability = relay.capability, "failed to publish: {error:#}");
                memory = Memory::new();
                tokio::time::sleep(AFTER_AN_ERROR).await;
            }
        }
    }
}

async fn step(relay: &Relay, lease: &Lease, memory: &mut Memory) -> Result<Step, Error> {
    match position::has_work(&relay.pool, lease).await? {
        None => return Ok(Step::LeaseLost),
        Some(false) if memory.confirmed_at.elapsed() < CONFIRMATION => return Ok(Step::Idle),
        Some(_) => memory.confirmed_at = Instant::now(),
    }
    let Some(read) = page::next(&relay.pool, lease).await? else { return Ok(Step::Idle) };
    if let Some(reason) = refusal(&read, memory) {
        tracing::error!(capability = relay.capability, reason, "the relay has stopped");
        position::stop(&relay.pool, lease, &reason).await?;
        return Ok(Step::Idle);
    }
    let is_empty = read.page.rows.is_empty();
    if !is_empty {
        failpoint::reach("relay.read").await;
        publish(relay, memory, &read).await?;
        failpoint::reach("relay.sent").await;
    }
    // The log's order makes this good for the snapshot that it stores, flushed or not: both are in it.
    let advanced = position::advance(&relay.pool, lease, &read.position, &read.page).await?;
    Ok(match advanced {
        false => Step::LeaseLost,
        true if is_empty => Step::Idle,
        true => Step::Sent,
    })
}

/// Nothing leaves that a crash of the database could undo.
async fn publish(relay: &Relay, memory: &mut Memory, read: &page::Read) -> Result<(), Error> {
    source::flush(&relay.pool, &read.position.written).await?;
    let publisher = match &mut memory.publisher {
        Some(publisher) => publisher,
        none => none.insert(Publisher::connect(&relay.kafka, &relay.capability)?),
    };
    publisher.send(&read.page.rows).await?;
    measure::sent(read.page.rows.len(), &relay.capability);
    Ok(())
}

/// Why the relay must not go on.
fn refusal(read: &page::Read, memory: &mut Memory) -> Option<String> {
    if read.source != read.position.source {
        let (was, is) = (read.position.source, read.source);
        return Some(format!(
            "the database was {was:?} and is {is:?}: its snapshots do not compare"
        ));
    }
    memory.versions.check(&read.page.rows).err().map(|went_back| went_back.to_string())
}

#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    Broker(#[from] crate::kafka::Error),
}
