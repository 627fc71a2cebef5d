//! One direction's follower: a round reads the source at a snapshot S and makes the target its projection at S.
//!
//! `read` (source, one transaction) → `write` (target, one transaction, the cursor's compare-and-swap first). While a
//! page of the copy is written the next one is read already, from where the cursor will stand. Nothing else is kept
//! between rounds that the target does not have, so a crash anywhere repeats the page.

mod compare;
pub(crate) mod cursor;
mod drain;
pub(crate) mod inverse;
pub(crate) mod pace;
mod page;
mod pending;
mod read;
pub(crate) mod rows;
pub(crate) mod write;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{Direction, Error, Mover, Result, catalog::Shape};

use cursor::Cursor;
use pace::{Pace, Pruner};
use pending::Pending;
use read::{Reader, Source, Wants};

/// Carries changes in one direction. One object at a time works on a cursor; another one loses it
/// ([`crate::Error::LostCursor`]). After any error, or when a round was dropped, make a new one: it reads the
/// cursor again.
#[derive(Debug)]
pub struct Follower {
    mover: Mover,
    direction: Direction,
    shapes: Arc<Vec<Shape>>,
    /// The way back, which a reverse follower checks; empty in a forward one.
    back: Arc<Vec<Shape>>,
    cursor: Cursor,
    pending: Pending,
    /// The copy's next page, read from where the cursor stands.
    ahead: Option<Source>,
    reads_ahead: bool,
    pace: Pace,
    pruner: Pruner,
    /// The next page must take in everything since the cursor's snapshot.
    alone: bool,
    stored_at: Instant,
}

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
    /// What the next round is at.
    pub phase: Phase,
    /// Dirty entries taken in.
    pub dirty: u64,
    /// Rows copied by chunks.
    pub copied: u64,
    /// Rows compared.
    pub verified: u64,
    /// It took everything in one page, so that the target is the projection of the source at `snapshot` (of what
    /// is copied so far).
    pub single_page: bool,
    /// The source's snapshot that the round read, in `pg_snapshot`'s text form.
    pub snapshot: String,
    /// How old the snapshot is that the target is at.
    pub lag: Duration,
    /// Others are at work on the source, and there are chunks to copy or to compare: whoever asks for the next round should
    /// leave them time.
    pub beside_others: bool,
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

/// Without anything to do, the cursor is stored this often, so that the log can be pruned.
const IDLE_STORE: Duration = Duration::from_millis(500);
/// A round beyond this counts as an unreachable database.
const SILENCE: Duration = Duration::from_mins(3);

impl Mover {
    /// The follower of a direction at an epoch, from where its cursor stands.
    pub async fn follower(&self, direction: Direction, epoch: i64) -> Result<Follower> {
        let cursor = Cursor::load(self, direction, Some(epoch)).await?;
        let back = match direction {
            Direction::Forward => Vec::new(),
            Direction::Reverse => self.shapes(Direction::Forward).await?,
        };
        Ok(Follower {
            mover: self.clone(),
            direction,
            shapes: Arc::new(self.shapes(direction).await?),
            back: Arc::new(back),
            cursor,
            pending: Pending::load(self, direction).await?,
            ahead: None,
            reads_ahead: true,
            pace: Pace::default(),
            pruner: Pruner::default(),
            alone: false,
            stored_at: Instant::now(),
        })
    }
}

impl Follower {
    /// Takes in what changed, and as many chunks as the budget allows. An error leaves the cursor where it was.
    pub async fn round(&mut self, budget: Budget) -> Result<Round> {
        self.turn(budget, None).await
    }

    /// The same under an attempt that must still hold, as the drain is: its session has then done before what it will
    /// do while nobody can write.
    pub async fn round_under(&mut self, budget: Budget, attempt: i64) -> Result<Round> {
        self.turn(budget, Some(attempt)).await
    }

    async fn turn(&mut self, budget: Budget, attempt: Option<i64>) -> Result<Round> {
        let round = tokio::time::timeout(SILENCE, self.page(budget, attempt)).await;
        let round = round.map_err(|_| Error::Unreachable { side: self.direction.source() })??;
        self.prune().await?;
        Ok(round)
    }

    async fn page(&mut self, budget: Budget, attempt: Option<i64>) -> Result<Round> {
        loop {
            let source = match self.ahead.take() {
                Some(source) => source,
                None => self.reader(&self.cursor).read(&self.wants(budget)).await?,
            };
            self.pace.took(&source);
            if source.idle {
                return Ok(self.report(&source, 0));
            }
            let next = self.cursor.after(&source, &self.shapes);
            let (written, ahead) = tokio::join!(
                self.write(&source, next.clone(), attempt),
                self.next_page(&next, budget)
            );
            match written {
                Ok((cursor, verified)) => {
                    self.stored(&source, cursor);
                    self.ahead = ahead;
                    self.alone = false;
                    return Ok(self.report(&source, verified));
                }
                // A swapped value or a row that changed its parent fell into two pages.
                Err(write::Failed::Unique(_)) if !source.single => self.alone = true,
                Err(failed) => return Err(self.explain(failed, &source).await),
            }
        }
    }

    fn reader<'f>(&'f self, cursor: &'f Cursor) -> Reader<'f> {
        Reader { follower: self, cursor }
    }

    fn wants(&self, budget: Budget) -> Wants {
        Wants {
            limit: (!self.alone).then_some(self.pace.page),
            chunks: budget.chunks,
            pending: pending::COMPARED_AT_ONCE,
            sequences: false,
        }
    }

    /// The page after the one that is being written, while there is more to copy and nobody else at work. What keeps it
    /// from being read will keep the next round from it too, and is told there.
    async fn next_page(&self, next: &Cursor, budget: Budget) -> Option<Source> {
        let copies = !next.copy.done && next.page.is_none() && budget.chunks > 0;
        if !copies || !self.reads_ahead || self.pace.beside_others() {
            return None;
        }
        self.reader(next).read(&self.wants(budget)).await.ok()
    }

    fn report(&self, source: &Source, verified: u64) -> Round {
        // Only a round of one page has brought the target to this page's own snapshot.
        let behind = if source.single { source.look.at } else { self.cursor.snap_at };
        let age = (source.look.at - behind).max(0.0);
        Round {
            phase: self.phase(),
            dirty: source.entries,
            copied: source.copied.iter().map(|c| c.rows.len() as u64).sum(),
            verified,
            single_page: source.single,
            snapshot: source.look.snap.clone(),
            lag: Duration::from_secs_f64(age) + source.begun.elapsed(),
            beside_others: source.others.is_some() && self.pace.beside_others(),
            verdict: self.verdict(),
        }
    }

    /// Has the following rounds compare both sides whole again.
    pub async fn verify_again(&mut self) -> Result<()> {
        self.cursor.verify_again(&self.mover, self.direction).await
    }

    /// Lowers how many dirty entries a page takes at most (10,000), for tests and small machines.
    pub fn page_at_most(&mut self, entries: u32) {
        self.pace.largest_page = entries.max(1);
        self.pace.page = self.pace.page.min(self.pace.largest_page);
    }

    /// Whether the copy's next page is read while one is written, as it is unless told otherwise or beside others. Not for a
    /// test that holds both sides against each other after a round: then every round must read what is there when it is
    /// called.
    pub fn read_ahead(&mut self, wanted: bool) {
        self.reads_ahead = wanted;
        self.ahead = self.ahead.take().filter(|_| wanted);
    }

    /// Rows copied since the copy began, all rounds together.
    pub fn rows_copied(&self) -> u64 {
        self.cursor.copy.rows
    }

    pub fn phase(&self) -> Phase {
        if !self.cursor.copy.done {
            Phase::Copying
        } else if !self.cursor.verify.verdict.whole {
            Phase::Verifying
        } else {
            Phase::Following
        }
    }

    pub fn verdict(&self) -> Verdict {
        let mut verdict = self.cursor.verify.verdict.clone();
        verdict.pending = self.pending.len();
        verdict
    }
}
