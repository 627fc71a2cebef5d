//! Handing over a capability's topics between the two databases' relays (`ficus.relay` of crates/events).

use crate::{Mover, Result, Side};

impl Mover {
    /// Holds or releases the capability's relay on this side. False if no relay has ever run there.
    pub async fn hold_relay(&self, side: Side, attempt: i64, held: bool) -> Result<bool> {
        let _ = (side, attempt, held);
        todo!()
    }

    /// A snapshot of this side now, as text. After C1: everything that the old relay must have sent.
    pub async fn snapshot(&self, side: Side) -> Result<String> {
        let _ = side;
        todo!()
    }

    /// Whether this side's relay has confirmed everything that the snapshot sees. True where none has ever run.
    pub async fn relay_confirmed(&self, side: Side, snapshot: &str) -> Result<bool> {
        let _ = (side, snapshot);
        todo!()
    }
}
