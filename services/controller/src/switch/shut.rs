//! C1 to C5: from the fence to the prepared opening. All of it can be taken back.

use std::time::{Duration, Instant};

use ficus_mover::{Error as MoverError, Opening};

use super::{Stop, Way, step};
use crate::{Error, hand::InHand};

/// C1 to C6 take at most this long, else the switch is aborted.
pub(super) const BUDGET: Duration = Duration::from_secs(1);

/// The source is fenced and drained, the target's opening is prepared.
pub(super) struct Shut {
    pub asked: Instant,
    pub opening: Opening,
    /// What the old owner's relay must have confirmed before the new one's goes on.
    pub handover: Option<String>,
    /// What the journal says of these steps.
    pub steps: Vec<(&'static str, String)>,
}

impl InHand {
    pub(super) async fn shut_in_time(&mut self, way: Way, asked: Instant) -> Result<Shut, Stop> {
        match tokio::time::timeout(BUDGET, self.shut(way, asked)).await {
            Ok(shut) => shut,
            // What was cut short may still be under way in the source: only a higher attempt ends it.
            Err(_) => Err(Stop::Open(Error::OverBudget)),
        }
    }

    async fn shut(&mut self, way: Way, asked: Instant) -> Result<Shut, Stop> {
        let attempt = self.hand.attempt;
        let mut steps = Vec::new();
        step::around("C1", self.mover.fence(way.from, attempt)).await.map_err(not_fenced)?;
        steps.push(("C1", format!("the {} is fenced after {}", way.from, since(asked))));

        // It is dropped with every error: what an aborted drain has done is read from the cursor again.
        let mut follower =
            self.follower.take().ok_or(Stop::Aborted("C2: no follower".to_owned()))?;
        let draining = step::around("C2", follower.drain(attempt));
        let (drained, snapshot) = tokio::join!(draining, self.mover.snapshot(way.from));
        let drained = drained.map_err(aborted("C2 to C4"))?;
        step::around("C3", async { Ok::<_, Stop>(()) }).await?;
        step::around("C4", async { Ok::<_, Stop>(()) }).await?;
        steps.push(("C2", format!("{} changes drained after {}", drained.dirty, since(asked))));
        steps.push(("C3", format!("{} rows compared under the fence", drained.verified)));
        steps.push(("C4", "sequences are set".to_owned()));

        let preparing = self.mover.prepare_opening(way.direction, attempt, self.facts.epoch + 1);
        let opening = step::around("C5", preparing).await.map_err(aborted("C5"))?;
        steps.push(("C5", format!("the {}'s opening is prepared after {}", way.to, since(asked))));
        let handover = Some(snapshot.map_err(aborted("C2"))?);
        Ok(Shut { asked, opening, handover, steps })
    }
}

/// A lock that was not to be had has shut nothing more; after any other failure a table may still be shut
/// later, unless the attempt is raised.
fn not_fenced(error: MoverError) -> Stop {
    match error {
        MoverError::LockTimeout { .. } => Stop::Aborted(format!("C1: {error}")),
        other => Stop::Open(other.into()),
    }
}

fn aborted(step: &'static str) -> impl Fn(MoverError) -> Stop {
    move |error| Stop::Aborted(format!("{step}: {error}"))
}

pub(super) fn since(asked: Instant) -> String {
    format!("{:.1} ms", asked.elapsed().as_secs_f64() * 1_000.0)
}
