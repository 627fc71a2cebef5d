//! The token row, which every step matches first, and the sessions of attempts that are over.

use crate::{Mover, Result, Side};

/// What the token row of a database says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub epoch: i64,
    pub attempt: i64,
}

impl Mover {
    /// The token row, if the capability has one in this database.
    pub async fn token(&self, side: Side) -> Result<Option<Token>> {
        let _ = side;
        todo!()
    }

    /// Raises the token row to this attempt and epoch (the same attempt may be said again, as after C6 with
    /// the new epoch). [`crate::Error::StaleAttempt`] if a later attempt is there.
    pub async fn raise_token(&self, side: Side, attempt: i64, epoch: i64) -> Result<()> {
        let _ = (side, attempt, epoch);
        todo!()
    }

    /// Ends every session in this database of attempts below this one and waits until they are gone; how many.
    /// At a takeover on the owner's database this comes before [`Mover::raise_token`].
    pub async fn end_sessions(&self, side: Side, below: i64) -> Result<u64> {
        let _ = (side, below);
        todo!()
    }
}
