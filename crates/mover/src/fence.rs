//! Shutting and opening a side, table by table, each in a transaction of its own.

use crate::{Mover, Result, Side};

/// Whether a side refuses writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceState {
    Shut,
    Open,
    /// Some tables refuse and some do not: a step that stopped half way.
    Mixed,
    /// Not installed.
    Absent,
}

impl Mover {
    /// C1: refuses writes on this side from the last commit on. Within 300 ms, else
    /// [`crate::Error::LockTimeout`], and the caller unfences.
    pub async fn fence(&self, side: Side, attempt: i64) -> Result<()> {
        let _ = (side, attempt);
        todo!()
    }

    /// The way back from C1 (abort), and the healing of a side that owns: accepts writes again. Tries for 5 s.
    pub async fn unfence(&self, side: Side, attempt: i64) -> Result<()> {
        let _ = (side, attempt);
        todo!()
    }

    pub async fn fence_state(&self, side: Side) -> Result<FenceState> {
        let _ = side;
        todo!()
    }

    /// How many statements this database's fence has refused since it was made (a crash skips up to 32).
    pub async fn refused(&self, side: Side) -> Result<i64> {
        let _ = side;
        todo!()
    }
}
