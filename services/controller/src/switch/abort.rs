//! Back from any step before C6. No request has failed: gateways repeat what the fence refused.

use ficus_mover::FenceState;

use super::{Stop, Way};
use crate::hand::InHand;

impl InHand {
    /// Opens the source again, ends *pending*, writes down why. The prepared opening, if there was one,
    /// was rolled back when it was dropped.
    pub(super) async fn abort(&mut self, way: Way, reason: &str) -> Result<(), Stop> {
        // What a step that was cut short has left open in the target must not stand in the next one's way.
        self.follower = None;
        let attempt = self.hand.attempt;
        if self.mover.fence_state(way.from).await? != FenceState::Open {
            self.mover.unfence(way.from, attempt).await?;
        }
        self.mover.hold_relay(way.to, attempt, false).await?;
        self.hand.abort_switch(reason).await?;
        self.refresh().await?;
        Ok(())
    }
}
