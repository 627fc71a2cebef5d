//! What stands against a switch or a completion, and what can be told of a move.

use crate::{Direction, Mover, Refusal, Result};

impl Mover {
    /// Everything in the two databases that stands against switching in this direction: copy or diff not
    /// done, keys still to be compared, capture or fences not as they must be, holders of the tables' locks.
    /// (Lag, pickers and workers are the controller's to check.)
    pub async fn preflight(&self, direction: Direction) -> Result<Vec<Refusal>> {
        let _ = direction;
        todo!()
    }

    /// Everything that stands against [`Mover::complete`]: a reverse diff that is not clean, views of others.
    pub async fn preflight_complete(&self) -> Result<Vec<Refusal>> {
        todo!()
    }

    /// Triggers that are missing or not enabled as they must be, on both sides; empty when all is well.
    pub async fn check_capture(&self) -> Result<Vec<Refusal>> {
        todo!()
    }

    /// Rows that a copy in this direction will carry, from the source's statistics.
    pub async fn rows_total(&self, direction: Direction) -> Result<u64> {
        let _ = direction;
        todo!()
    }

    /// Vacuums and analyses the direction's target, so that no autovacuum starts during the switch.
    pub async fn vacuum_target(&self, direction: Direction) -> Result<()> {
        let _ = direction;
        todo!()
    }
}
