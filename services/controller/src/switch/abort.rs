//! Back from any step before C6. No write is lost: gateways repeat what the fence refused, for two seconds.

use super::{Stop, Way};
use crate::hand::InHand;

impl InHand {
    /// Opens the source again, ends *pending*, writes down why. The prepared opening, if there was one,
    /// was rolled back when it was dropped.
    pub(super) async fn abort(&mut self, way: Way, reason: &str) -> Result<(), Stop> {
        // What a step that was cut short has left open in the target must not stand in the next one's way.
        self.follower = None;
        let attempt = self.hand.attempt;
        self.mover.unfence(way.from, attempt).await?;
        // The other side publishes nothing, and the next switch holds it anew: its absence stops nothing.
        if let Err(error) = self.mover.hold_relay(way.to, attempt, false).await {
            tracing::warn!(%error, "failed to release the relay that was held for the switch");
        }
        self.hand.abort_switch(reason).await?;
        self.refresh().await?;
        Ok(())
    }
}
