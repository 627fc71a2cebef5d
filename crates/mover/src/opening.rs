//! C5 and C7: the new owner's opening, prepared before the point of no return and committed after it.

use crate::{Direction, Mover, Result};

/// A transaction in which the target is open already. Nobody sees it before [`Opening::commit`]; the server ends
/// it after 2 s.
#[must_use = "an opening that is dropped is rolled back"]
#[derive(Debug)]
pub struct Opening {}

impl Opening {
    /// C7. After an error the answer is unknown: prepare and commit again (it may have happened, and doing it
    /// twice is harmless).
    pub async fn commit(self) -> Result<()> {
        todo!()
    }

    /// Abort: the target stays shut and its cursor open.
    pub async fn rollback(self) -> Result<()> {
        todo!()
    }
}

impl Mover {
    /// C5, first half: stores where the follower of the opposite direction will start, in the direction's
    /// source, for the epoch that C6 will make. The target must be fenced; any time since C0 will do.
    pub async fn store_reverse_cursor(
        &self,
        direction: Direction,
        attempt: i64,
        next_epoch: i64,
    ) -> Result<()> {
        let _ = (direction, attempt, next_epoch);
        todo!()
    }

    /// C5, second half: closes the direction's cursor and disables the target's fence in a transaction that is
    /// left open. Within 300 ms, else [`crate::Error::LockTimeout`]. Also how a lost C7 is done again.
    pub async fn prepare_opening(&self, direction: Direction, attempt: i64) -> Result<Opening> {
        let _ = (direction, attempt);
        todo!()
    }
}
