//! C0, second half: the attempt is raised everywhere, *pending* is acknowledged by all pickers, writes
//! that are not buffered have ended and workers are at rest.

use std::time::Duration;

use ficus_process::fault;
use uuid::Uuid;

use super::{Stop, Way, step, wait};
use crate::hand::InHand;

/// What is in flight and does not end in this time aborts.
const QUIET: Duration = Duration::from_secs(2);
const ASK: Duration = Duration::from_millis(3);

impl InHand {
    /// Raises the attempt in the control database, then in the owner's, then in the other's. The way
    /// back's cursor is stored already: the target is shut, so nothing can move it.
    pub(super) async fn raise(&mut self, way: Way) -> Result<(), Stop> {
        let why = format!("switch to the {}", way.to);
        let (hand, facts) = self.hand.store.raise(&self.hand.capability, &why).await?;
        self.hand = hand;
        self.facts = facts;
        if self.facts.owner != way.from {
            return Err(Stop::Open(crate::Error::Stale));
        }
        let (attempt, epoch) = (self.hand.attempt, self.facts.epoch);
        for side in [way.from, way.to] {
            self.mover.raise_token(side, attempt, epoch).await?;
        }
        self.hand.begin_switch(way.to, &why).await?;
        self.refresh().await?;
        self.mover.store_reverse_cursor(way.direction, attempt, epoch + 1).await?;
        Ok(())
    }

    /// The new owner's relay holds the topics until the old one has sent everything. It holds before it
    /// owns, when it has nothing to send.
    pub(super) async fn hold_relay(&self, way: Way) -> Result<(), Stop> {
        if fault::planted("hand-over-off") {
            return Ok(());
        }
        let held = self.mover.hold_relay(way.to, self.hand.attempt, true).await;
        match held {
            Ok(false) if !self.topics.is_empty() => {
                let to = way.to;
                let reason =
                    format!("C0: no relay has ever run on the {to}'s database; start the {to}");
                Err(Stop::Aborted(reason))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(Stop::Aborted(format!("C0: {error}"))),
        }
    }

    /// Asks for quiet and waits for it; what the pickers have acknowledged.
    pub(super) async fn quiesce(&mut self) -> Result<Uuid, Stop> {
        step::around("C0", async {
            let hand = self.hand.clone();
            let epoch = self.facts.epoch;
            let pending = hand.ask_pending().await?;
            let asking = wait::for_all(QUIET, ASK, || {
                hand.store.not_quiet(&hand.capability, epoch, pending)
            });
            let left = self.follow_while(asking).await??;
            if left.all_have() {
                return Ok(pending);
            }
            Err(Stop::Aborted(format!("C0: not quiet within 2 s: {}", left.missing.join(", "))))
        })
        .await
    }

    /// The opening is rehearsed, and there are two more rounds under the attempt, so that little is left to drain and to
    /// compare (what one carries over the next one compares), and no session does anything for the first time while
    /// nobody can write. Then the control row says that C1 comes.
    pub(super) async fn announce(&mut self, way: Way) -> Result<(), Stop> {
        let (attempt, next) = (self.hand.attempt, self.facts.epoch + 1);
        if let Err(error) = self.mover.rehearse_opening(way.direction, attempt, next).await {
            tracing::warn!(%error, "failed to rehearse the opening; it will take longer");
        }
        for _ in 0..2 {
            self.follow_under(Some(attempt)).await?;
        }
        if self.follower.is_none() {
            return Err(Stop::Aborted("C0: the stream does not flow".to_owned()));
        }
        if self.hand.announce_fence().await? {
            return Ok(());
        }
        Err(Stop::Aborted("C0: pending would not have lived until C6".to_owned()))
    }
}
