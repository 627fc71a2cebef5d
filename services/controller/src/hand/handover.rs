//! The relays' hand-over: the new owner's relay holds the capability's topics until the old owner's has
//! confirmed a snapshot taken after C1.

use super::InHand;
use crate::error::Result;

impl InHand {
    /// Lets the new owner's relay go once the old one has sent everything.
    pub(crate) async fn hand_over(&mut self) -> Result<()> {
        let Some(snapshot) = &self.handover else { return Ok(()) };
        let owner = self.facts.owner;
        if !self.mover.relay_confirmed(owner.other(), snapshot).await? {
            return Ok(());
        }
        self.mover.hold_relay(owner, self.hand.attempt, false).await?;
        self.handover = None;
        let line =
            format!("the {}'s relay has sent everything, the {owner}'s goes on", owner.other());
        self.hand.note("relay", &line).await
    }
}
