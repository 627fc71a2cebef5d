//! Applies one batch: all of it in one transaction, or one by one if that fails.

use std::time::Duration;

use ficus_process::fault::planted;
use rdkafka::message::OwnedMessage;
use tracing::Instrument as _;

use super::{
    ApplyError, Handler,
    client::Received,
    dead::DeadLetters,
    fault::{self, Fault},
    gate::{Gate, NotOwner},
    span,
};
use crate::{Event, kafka};

const ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);
const PARKED: &str = "an earlier message of this key could not be applied";

/// What stopped a batch without being any message's fault. Applied again, it goes on where it was: the
/// inbox knows what was applied.
#[derive(Debug)]
pub enum Interruption {
    Fenced,
    NotOwner,
    Database(sqlx::Error),
    Broker(kafka::Error),
}

impl From<NotOwner> for Interruption {
    fn from(_: NotOwner) -> Self {
        Self::NotOwner
    }
}

impl From<kafka::Error> for Interruption {
    fn from(error: kafka::Error) -> Self {
        Self::Broker(error)
    }
}

/// From a statement that is about no one event.
impl From<sqlx::Error> for Interruption {
    fn from(error: sqlx::Error) -> Self {
        match fault::of(&error) {
            Fault::Fence => Self::Fenced,
            Fault::Database | Fault::Event => Self::Database(error),
        }
    }
}

/// Why one transaction did not commit.
enum Failure {
    Interrupted(Interruption),
    /// One of its events is at fault.
    Event {
        reason: String,
        is_final: bool,
    },
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if planted("fence-is-poison") && ficus_pg::fenced(&error).is_some() {
            return Self::Event { reason: error.to_string(), is_final: false };
        }
        Self::Interrupted(error.into())
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Rejected(reason) => Self::Event { reason, is_final: true },
            ApplyError::Failed(reason) => Self::Event { reason, is_final: false },
            ApplyError::Database(error) if fault::of(&error) == Fault::Event => {
                Self::Event { reason: error.to_string(), is_final: false }
            }
            ApplyError::Database(error) => Self::Interrupted(error.into()),
        }
    }
}

/// What became of one event.
enum Outcome {
    /// Applied, now or before.
    Applied,
    Parked,
}

type Message<'a> = (&'a Event, &'a OwnedMessage);

/// Applies what is new of the batch and puts aside what cannot be applied. Each transaction and each
/// dead letter is under a guard of its own, so that a switch waits for no more than one.
pub async fn apply(
    batch: &[Received],
    gate: &Gate,
    handler: &dyn Handler,
    dead: &mut DeadLetters<'_>,
) -> Result<(), Interruption> {
    let events: Vec<Message> = batch
        .iter()
        .filter_map(|received| Some((received.event.as_ref().ok()?, &received.message)))
        .collect();
    for message in together(&events, gate, handler).await? {
        alone(message, gate, handler, dead).await?;
    }
    for Received { event, message } in batch {
        if let Err(reason) = event {
            let _guard = gate.enter().await?;
            dead.send(message, reason, 0).await?;
        }
    }
    Ok(())
}

/// Applies all that is new and not parked in one transaction; answers what has to be looked at alone:
/// what is parked, or everything if any of it failed.
async fn together<'a>(
    events: &[Message<'a>],
    gate: &Gate,
    handler: &dyn Handler,
) -> Result<Vec<Message<'a>>, Interruption> {
    let _guard = gate.enter().await?;
    let span = span::batch(&events.iter().map(|(event, _)| *event).collect::<Vec<_>>());
    match try_together(events, handler).instrument(span).await {
        Ok(parked) => Ok(parked),
        Err(Failure::Interrupted(interruption)) => Err(interruption),
        Err(Failure::Event { reason, .. }) => {
            tracing::info!(
                reason,
                events = events.len(),
                "a batch failed and is applied one by one"
            );
            Ok(events.to_vec())
        }
    }
}

async fn try_together<'a>(
    messages: &[Message<'a>],
    handler: &dyn Handler,
) -> Result<Vec<Message<'a>>, Failure> {
    let mut tx = handler.begin().await?;
    let events: Vec<&Event> = messages.iter().map(|(event, _)| *event).collect();
    let parked = handler.parked(&mut tx, &events).await?;
    let (parked, free): (Vec<Message>, Vec<Message>) =
        messages.iter().partition(|(event, _)| parked.contains(&event.id));
    let ids: Vec<_> = free.iter().map(|(event, _)| event.id).collect();
    let mut fresh = handler.fresh(&mut tx, &ids).await?;
    if planted("inbox-off") {
        fresh = ids.into_iter().collect();
    }
    for (event, _) in free {
        // Taken out, since the relay can have sent it twice.
        if fresh.remove(&event.id) {
            handler.apply(&mut tx, event).instrument(span::event(event)).await?;
        }
    }
    tx.commit().await.map_err(ApplyError::Database)?;
    Ok(parked)
}

/// Applies one event, or sends it to the dead letters: after three tries, at once if it can never be
/// applied, or behind an earlier one of its key.
async fn alone(
    (event, message): Message<'_>,
    gate: &Gate,
    handler: &dyn Handler,
    dead: &mut DeadLetters<'_>,
) -> Result<(), Interruption> {
    let mut attempts = 0;
    let reason = loop {
        let guard = gate.enter().await?;
        attempts += 1;
        match try_alone(event, handler).await {
            Ok(Outcome::Applied) => return Ok(()),
            Ok(Outcome::Parked) => return Ok(dead.send(message, PARKED, 0).await?),
            Err(Failure::Interrupted(interruption)) => return Err(interruption),
            Err(Failure::Event { reason, is_final }) if is_final || attempts == ATTEMPTS => {
                break reason;
            }
            Err(Failure::Event { .. }) => {}
        }
        drop(guard);
        tokio::time::sleep(BETWEEN_ATTEMPTS * attempts).await;
    };
    let _guard = gate.enter().await?;
    tracing::error!(event = %event.id, topic = event.topic, reason, attempts, "an event goes to the dead letters");
    // Parked first: a fence that stands refuses this, and then the event is the new owner's.
    if !planted("fence-is-poison") {
        let mut tx = handler.begin().await?;
        handler.park(&mut tx, event, &reason).await?;
        tx.commit().await?;
    }
    Ok(dead.send(message, &reason, attempts).await?)
}

/// A parked event leaves no trace in the inbox, so that it can be applied when it is redriven.
async fn try_alone(event: &Event, handler: &dyn Handler) -> Result<Outcome, Failure> {
    let mut tx = handler.begin().await?;
    if handler.fresh(&mut tx, &[event.id]).await?.is_empty() {
        tx.rollback().await?;
        return Ok(Outcome::Applied);
    }
    if !handler.parked(&mut tx, &[event]).await?.is_empty() {
        tx.rollback().await?;
        return Ok(Outcome::Parked);
    }
    handler.apply(&mut tx, event).instrument(span::event(event)).await?;
    tx.commit().await.map_err(ApplyError::Database)?;
    Ok(Outcome::Applied)
}
