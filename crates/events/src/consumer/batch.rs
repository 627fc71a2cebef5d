//! Applies one batch: all of it in one transaction, around those events that cannot be applied.

use ficus_process::{failpoint, fault::planted};
use rdkafka::message::OwnedMessage;
use tracing::Instrument as _;

use super::{
    ApplyError, Handler,
    attempt::{Parking, Tried, attempt},
    client::Received,
    dead::DeadLetters,
    failure::{Failure, Interruption},
    gate::Gate,
    handler::bounded,
    span,
};
use crate::{Event, dead_letters::Cause};

const PARKED: &str = "an earlier message of this key could not be applied";

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
    let mut left = &events[..];
    while let Some(at) = as_far_as_it_goes(left, gate, handler, dead).await? {
        alone(left[at], gate, handler, dead).await?;
        left = &left[at + 1..];
    }
    for Received { event, message } in batch {
        if let Err(reason) = event {
            let _guard = gate.enter().await?;
            dead.send(message, Cause::Unreadable, reason, 0).await?;
        }
    }
    Ok(())
}

/// Applies all events, or those before the first that fails: then answers where that stands.
async fn as_far_as_it_goes(
    events: &[Message<'_>],
    gate: &Gate,
    handler: &dyn Handler,
    dead: &mut DeadLetters<'_>,
) -> Result<Option<usize>, Interruption> {
    let (done, failed) = match together(events, gate, handler).await? {
        Together::Applied(parked) => (parked, None),
        Together::FailedAt(at) => match together(&events[..at], gate, handler).await? {
            Together::Applied(parked) => (parked, Some(at)),
            Together::FailedAt(_) | Together::Failed => (events[..at].to_vec(), Some(at)),
        },
        Together::Failed => (events.to_vec(), None),
    };
    for message in done {
        alone(message, gate, handler, dead).await?;
    }
    Ok(failed)
}

/// What one transaction for several events came to.
enum Together<'a> {
    /// All but these, whose keys are parked.
    Applied(Vec<Message<'a>>),
    /// Rolled back, because of this one.
    FailedAt(usize),
    /// Rolled back at the commit, because of any of them.
    Failed,
}

async fn together<'a>(
    events: &[Message<'a>],
    gate: &Gate,
    handler: &dyn Handler,
) -> Result<Together<'a>, Interruption> {
    if events.is_empty() {
        return Ok(Together::Applied(Vec::new()));
    }
    let _guard = gate.enter().await?;
    let span = span::batch(&events.iter().map(|(event, _)| *event).collect::<Vec<_>>());
    let mut at = None;
    match try_together(events, handler, &mut at).instrument(span).await {
        Ok(parked) => Ok(Together::Applied(parked)),
        Err(Failure::Interrupted(interruption)) => Err(interruption),
        Err(Failure::Event { reason, .. }) => {
            tracing::info!(reason, events = events.len(), "a batch failed and is divided");
            Ok(at.map_or(Together::Failed, Together::FailedAt))
        }
    }
}

/// `at` is the event that is being applied.
async fn try_together<'a>(
    messages: &[Message<'a>],
    handler: &dyn Handler,
    at: &mut Option<usize>,
) -> Result<Vec<Message<'a>>, Failure> {
    let mut tx = handler.begin().await?;
    let events: Vec<&Event> = messages.iter().map(|(event, _)| *event).collect();
    let parked = bounded(handler.parked(&mut tx, &events)).await?;
    let ids: Vec<_> =
        events.iter().map(|event| event.id).filter(|id| !parked.contains(id)).collect();
    let mut fresh = bounded(handler.fresh(&mut tx, &ids)).await?;
    if planted("inbox-off") {
        fresh = ids.into_iter().collect();
    }
    for (index, event) in events.into_iter().enumerate() {
        // Taken out, since the relay can have sent it twice.
        if fresh.remove(&event.id) {
            *at = Some(index);
            bounded(handler.apply(&mut tx, event)).instrument(span::event(event)).await?;
        }
    }
    *at = None;
    bounded(tx.commit()).await.map_err(ApplyError::Database)?;
    Ok(messages.iter().filter(|(event, _)| parked.contains(&event.id)).copied().collect())
}

/// Applies one event, or sends it to the dead letters: after three tries, at once if it can never be
/// applied, or behind an earlier one of its key.
async fn alone(
    (event, message): Message<'_>,
    gate: &Gate,
    handler: &dyn Handler,
    dead: &mut DeadLetters<'_>,
) -> Result<(), Interruption> {
    let (reason, attempts) = loop {
        match attempt(event, gate, handler, Parking::Respected).await? {
            Tried::Applied | Tried::Known => return Ok(()),
            Tried::Parked => {
                let _guard = gate.enter().await?;
                // Noted first: the key is not freed before this letter is redriven too.
                if follow(event, handler).await? {
                    failpoint::reach("consumer.followed").await;
                    return Ok(dead.send(message, Cause::Behind, PARKED, 0).await?);
                }
            }
            Tried::Failed { reason, attempts } => break (reason, attempts),
        }
    };
    let _guard = gate.enter().await?;
    tracing::error!(event = %event.id, topic = event.topic, reason, attempts, "an event goes to the dead letters");
    // Parked first: a fence that stands refuses this, and then the event is the new owner's.
    if !planted("fence-is-poison") {
        let mut tx = handler.begin().await?;
        bounded(handler.park(&mut tx, event, &reason)).await?;
        bounded(tx.commit()).await?;
    }
    Ok(dead.send(message, Cause::Failed, &reason, attempts).await?)
}

async fn follow(event: &Event, handler: &dyn Handler) -> Result<bool, Interruption> {
    let mut tx = handler.begin().await?;
    let is_parked = bounded(handler.follow(&mut tx, event)).await?;
    bounded(tx.commit()).await?;
    Ok(is_parked)
}
