//! One direction's follower: a round reads the source at a snapshot S and makes the target its projection at S.

use std::time::Duration;

use crate::{Direction, Mover, Result};

/// Carries changes in one direction. One object at a time works on a cursor; another one loses it
/// ([`crate::Error::LostCursor`]). After any error, make a new one: it reads the cursor again.
#[derive(Debug)]
pub struct Follower {}

/// How much a round may do beside the changes, which are never slowed down.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    /// Chunks to copy or to verify in this round, 0 to leave the source alone.
    pub chunks: u32,
}

/// What a follower is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Copying,
    /// Comparing both sides whole for the first time, or again.
    Verifying,
    Following,
}

/// What one round did.
#[derive(Debug, Clone)]
pub struct Round {
    pub phase: Phase,
    /// Dirty entries taken in.
    pub dirty: u64,
    /// Rows copied by chunks.
    pub copied: u64,
    /// Rows compared.
    pub verified: u64,
    /// It took everything in one page, so that the target is the projection of the source at `snapshot`.
    pub single_page: bool,
    /// The source's snapshot that the target is at, in `pg_snapshot`'s text form.
    pub snapshot: String,
    /// How old the oldest change was when it arrived here; the round's own time when there was none.
    pub lag: Duration,
    /// The diff as it stands.
    pub verdict: Verdict,
}

/// The running result of comparing both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Verdict {
    /// Both sides have been compared whole since the last [`Follower::verify_again`].
    pub whole: bool,
    pub rows_compared: u64,
    pub rows_differing: u64,
    /// The first that differed, as "table key", at most 10.
    pub differing: Vec<String>,
    /// Keys that were changed since they were compared, and are to be compared again.
    pub pending: u64,
}

/// What the drain did, C2 to C4.
#[derive(Debug, Clone)]
pub struct Drained {
    pub dirty: u64,
    /// Rows compared under the fence.
    pub verified: u64,
    pub snapshot: String,
}

impl Mover {
    /// The follower of a direction at an epoch, from where its cursor stands.
    pub async fn follower(&self, direction: Direction, epoch: i64) -> Result<Follower> {
        let _ = (direction, epoch);
        todo!()
    }
}

impl Follower {
    /// Takes in what changed, and as many chunks as the budget allows. An error leaves the cursor where it was.
    pub async fn round(&mut self, budget: Budget) -> Result<Round> {
        let _ = budget;
        todo!()
    }

    /// Has the following rounds compare both sides whole again.
    pub async fn verify_again(&mut self) -> Result<()> {
        todo!()
    }

    /// C2, C3 and C4, after C1's last commit: one round in one page, every key compared that was changed since it
    /// was compared last, and the target's sequences set beyond the source's.
    pub async fn drain(&mut self, attempt: i64) -> Result<Drained> {
        let _ = attempt;
        todo!()
    }

    /// Rows copied since the copy began, all rounds together.
    pub fn rows_copied(&self) -> u64 {
        todo!()
    }

    pub fn phase(&self) -> Phase {
        todo!()
    }

    pub fn verdict(&self) -> Verdict {
        todo!()
    }
}
