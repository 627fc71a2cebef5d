//! Applies one event in a transaction of its own, as often as it may be tried.

use std::time::Duration;

use tracing::Instrument as _;

use super::{
    ApplyError, Handler,
    failure::{Failure, Interruption},
    gate::Gate,
    handler::bounded,
    span,
};
use crate::{Event, message::legible};

const ATTEMPTS: u32 = 3;
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(100);

/// What became of one event.
pub enum Tried {
    Applied,
    /// It was applied before.
    Known,
    /// It was not tried: its key is parked.
    Parked,
    Failed {
        reason: String,
        attempts: u32,
    },
}

/// Whether a parked key holds its events back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Parking {
    Respected,
    /// For the event that the key is parked for.
    Ignored,
}

/// Tries it once if it can never be applied, else up to three times. Each try is under a guard of its
/// own, so that a switch waits for no more than one.
pub async fn attempt(
    event: &Event,
    gate: &Gate,
    handler: &dyn Handler,
    parking: Parking,
) -> Result<Tried, Interruption> {
    let mut attempts = 0;
    loop {
        let guard = gate.enter().await?;
        attempts += 1;
        match once(event, handler, parking).await {
            Ok(tried) => return Ok(tried),
            Err(Failure::Interrupted(interruption)) => return Err(interruption),
            Err(Failure::Event { reason, is_final }) if is_final || attempts == ATTEMPTS => {
                return Ok(Tried::Failed { reason: legible(&reason), attempts });
            }
            Err(Failure::Event { .. }) => {}
        }
        drop(guard);
        tokio::time::sleep(BETWEEN_ATTEMPTS * attempts).await;
    }
}

/// An event that is not applied leaves no trace in the inbox, so that it can be applied when it is redriven.
async fn once(event: &Event, handler: &dyn Handler, parking: Parking) -> Result<Tried, Failure> {
    let mut tx = handler.begin().await?;
    if bounded(handler.fresh(&mut tx, &[event.id])).await?.is_empty() {
        bounded(tx.rollback()).await?;
        return Ok(Tried::Known);
    }
    if parking == Parking::Respected
        && !bounded(handler.parked(&mut tx, &[event])).await?.is_empty()
    {
        bounded(tx.rollback()).await?;
        return Ok(Tried::Parked);
    }
    bounded(handler.apply(&mut tx, event)).instrument(span::event(event)).await?;
    bounded(tx.commit()).await.map_err(ApplyError::Database)?;
    Ok(Tried::Applied)
}
