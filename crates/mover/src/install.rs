//! Prepare: views, capture and fences on both sides, and the cursor that the copy starts from.

use crate::{Mover, Result, Side};

impl Mover {
    /// Installs everything that a move needs, capture on both sides and the fence shut on the side that does not
    /// own, and stores the cursor of the owner's direction. May be repeated; a cursor that is there stays.
    /// [`Mover::raise_token`] on both sides comes first.
    pub async fn install(&self, attempt: i64, epoch: i64, owner: Side) -> Result<()> {
        let _ = (attempt, epoch, owner);
        todo!()
    }
}
