//! The leader's loop: read, check, send, advance. A crash between any two of them repeats the page.

use std::time::{Duration, Instant};

use ficus_pg::within;
use ficus_process::failpoint;

use super::{
    Relay, lease::Lease, measure, page, page::Patience, position, publisher::Publisher,
    versions::Versions,
};

const FASTEST_POLL: Duration = Duration::from_millis(5);
const SLOWEST_POLL: Duration = Duration::from_millis(50);
/// So often an idle relay confirms that there is nothing: a hand-over to another database's relay waits
/// for a snapshot that was taken after it began.
const CONFIRMATION: Duration = Duration::from_millis(500);
const AFTER_AN_ERROR: Duration = Duration::from_millis(500);
/// Where events come one upon another, rounds begin no closer together: each costs a position written, a message's
/// journey and a batch at every consumer, however few its events are.
const BUSY_ROUND: Duration = Duration::from_millis(10);

/// For statements that cost the server next to nothing. One whose host is gone without a word would be waited for until
/// the kernel gives it up, while the lease is renewed on another connection.
const SILENCE: Duration = Duration::from_secs(5);

/// What one step found.
enum Step {
    /// There is more of the round, or there was one event, whose successor nobody knows of.
    Sent,
    /// The end of a round of several events: more will come soon.
    SentSeveral,
    Idle,
    LeaseLost,
}

/// What has to be forgotten after an error: then everything is read again from the stored position.
struct Memory {
    publisher: Option<Publisher>,
    versions: Versions,
    confirmed_at: Instant,
    /// The page after the one that was confirmed last.
    ahead: Option<page::Read>,
    patience: Patience,
}

impl Memory {
    fn new(patience: Patience) -> Self {
        let (versions, confirmed_at) = (Versions::default(), Instant::now());
        Self { publisher: None, versions, confirmed_at, ahead: None, patience }
    }
}

/// Publishes until the lease is lost.
pub async fn run(relay: &Relay, lease: &Lease) {
    let mut memory = Memory::new(Patience::default());
    let mut pause = FASTEST_POLL;
    loop {
        let begun = Instant::now();
        match step(relay, lease, &mut memory).await {
            Ok(Step::Sent) => pause = FASTEST_POLL,
            Ok(Step::SentSeveral) => {
                pause = FASTEST_POLL;
                tokio::time::sleep(BUSY_ROUND.saturating_sub(begun.elapsed())).await;
            }
            Ok(Step::Idle) => {
                let _ = tokio::time::timeout(pause, relay.committed.notified()).await;
                pause = (pause * 2).min(SLOWEST_POLL);
            }
            Ok(Step::LeaseLost) => return,
            Err(error) => {
                tracing::warn!(capability = relay.capability, "failed to publish: {error:#}");
                memory = Memory::new(error.patience(memory.patience));
                tokio::time::sleep(AFTER_AN_ERROR).await;
            }
        }
    }
}

async fn step(relay: &Relay, lease: &Lease, memory: &mut Memory) -> Result<Step, Error> {
    let read = match memory.ahead.take() {
        Some(read) => read,
        None => match look(relay, lease, memory).await? {
            Ok(read) => read,
            Err(step) => return Ok(step),
        },
    };
    if read.page.is_last {
        memory.patience = Patience::default();
    }
    if let Some(reason) = refusal(&read, memory) {
        tracing::error!(capability = relay.capability, reason, "the relay has stopped");
        within(SILENCE, position::stop(&relay.pool, lease, &reason)).await?;
        return Ok(Step::Idle);
    }
    let is_empty = read.page.rows.is_empty();
    if !is_empty {
        failpoint::reach("relay.read").await;
        let patience = memory.patience;
        let (sent, ahead) = tokio::join!(
            publish(relay, memory, &read.page),
            read_ahead(relay, lease, &read, patience)
        );
        sent?;
        memory.ahead = ahead;
        failpoint::reach("relay.sent").await;
    }
    let advance = position::advance(&relay.pool, lease, &read.position, &read.page);
    let advanced = within(SILENCE, advance).await?;
    Ok(match advanced {
        false => Step::LeaseLost,
        true if is_empty => Step::Idle,
        true if read.page.is_last && read.page.rows.len() > 1 => Step::SentSeveral,
        true => Step::Sent,
    })
}

/// The page after what is confirmed, or why there is none.
async fn look(
    relay: &Relay,
    lease: &Lease,
    memory: &mut Memory,
) -> Result<Result<page::Read, Step>, Error> {
    match within(SILENCE, position::has_work(&relay.pool, lease)).await? {
        None => return Ok(Err(Step::LeaseLost)),
        Some(false) if memory.confirmed_at.elapsed() < CONFIRMATION => return Ok(Err(Step::Idle)),
        Some(_) => memory.confirmed_at = Instant::now(),
    }
    let read = page::next(&relay.pool, lease, None, memory.patience).await.map_err(Error::Page)?;
    Ok(read.ok_or(Step::Idle))
}

/// The round's next page, while this one is under way to the broker. It leaves only after this one was confirmed. What
/// keeps it from being read will keep the next step from it too, and is told there.
async fn read_ahead(
    relay: &Relay,
    lease: &Lease,
    read: &page::Read,
    patience: Patience,
) -> Option<page::Read> {
    if read.page.is_last {
        return None;
    }
    page::next(&relay.pool, lease, Some(read), patience).await.ok()?
}

async fn publish(relay: &Relay, memory: &mut Memory, page: &page::Page) -> Result<(), Error> {
    let publisher = match &mut memory.publisher {
        Some(publisher) => publisher,
        none => none.insert(Publisher::connect(&relay.kafka, &relay.capability)?),
    };
    publisher.send(&page.rows).await?;
    measure::sent(page.rows.len(), &relay.capability);
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
    #[error("no page could be read: {0}")]
    Page(#[source] sqlx::Error),
    #[error(transparent)]
    Broker(#[from] crate::kafka::Error),
}

/// PostgreSQL's code for a statement that took too long.
const CANCELED: &str = "57014";

impl Error {
    /// For the next page, `before` having been that of the last.
    fn patience(&self, before: Patience) -> Patience {
        let took_too_long = match self {
            Self::Page(sqlx::Error::PoolTimedOut) => true,
            Self::Page(sqlx::Error::Database(error)) => error.code().as_deref() == Some(CANCELED),
            _ => false,
        };
        if took_too_long { before.longer() } else { before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_took_too_long_has_longer_the_next_time() {
        let first = Patience::default();
        let too_long = || Error::Page(sqlx::Error::PoolTimedOut);
        let second = too_long().patience(first);
        assert_ne!(second, first);
        assert_eq!(Error::Page(sqlx::Error::PoolClosed).patience(second), second);
        assert_eq!(Error::from(sqlx::Error::PoolTimedOut).patience(second), second);
        let third = too_long().patience(second);
        assert_ne!(third, second);
        assert_eq!(too_long().patience(third), third);
    }
}
