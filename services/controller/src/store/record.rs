//! What an attempt writes down of a move that it has in hand.

use ficus_mover::Direction;

use super::{Result, Store, bounded, one};
use crate::domain::Stream;

/// One attempt's hold on a move. Every statement matches the attempt; [`crate::Error::Stale`] means that
/// another has taken over and nothing was written.
#[derive(Debug, Clone)]
pub struct Hand {
    pub store: Store,
    pub capability: String,
    pub attempt: i64,
}

impl Hand {
    /// A line in the journal that goes with no change of the row.
    pub async fn note(&self, step: &str, text: &str) -> Result<()> {
        let noted = sqlx::query!(
            "INSERT INTO journal (capability, attempt, epoch, step, text, by)
             SELECT capability, attempt, epoch, $3, $4, $5
               FROM move WHERE capability = $1 AND attempt = $2 FOR SHARE",
            self.capability,
            self.attempt,
            step,
            text,
            self.store.name,
        )
        .execute(&self.store.pool);
        one(bounded(noted).await?.rows_affected())
    }

    /// Capture and fences are installed.
    pub async fn prepared(&self) -> Result<()> {
        let changed = sqlx::query!(
            "WITH changed AS (
                 UPDATE move
                    SET prepared = true, stream = 'none', direction = NULL, stream_error = '',
                        diff_at = NULL, diff_clean = NULL, diff_rows = NULL, diff_differing = NULL
                  WHERE capability = $1 AND attempt = $2
                 RETURNING attempt, epoch
             )
             INSERT INTO journal (capability, attempt, epoch, step, text, by)
             SELECT $1, attempt, epoch, 'prepare', 'capture and fences are installed', $3
               FROM changed",
            self.capability,
            self.attempt,
            self.store.name,
        )
        .execute(&self.store.pool);
        one(bounded(changed).await?.rows_affected())
    }

    /// The move is given up: whoever has it in hand takes away what it has installed and copied.
    pub async fn cancelling(&self) -> Result<()> {
        let changed = sqlx::query!(
            "WITH changed AS (
                 UPDATE move
                    SET prepared = false, stream = 'stopped', direction = 'forward',
                        stream_error = '', diff_at = NULL, diff_clean = NULL, diff_rows = NULL,
                        diff_differing = NULL
                  WHERE capability = $1 AND attempt = $2 AND owner = 'monolith'
                 RETURNING attempt, epoch
             )
             INSERT INTO journal (capability, attempt, epoch, step, text, by)
             SELECT $1, attempt, epoch, 'cancel', 'the stream has ended', $3 FROM changed",
            self.capability,
            self.attempt,
            self.store.name,
        )
        .execute(&self.store.pool);
        one(bounded(changed).await?.rows_affected())
    }

    /// What the stream does from here on, and what stopped it. The journal has both before `text`.
    pub async fn stream(
        &self,
        stream: Stream,
        direction: Direction,
        error: &str,
        text: &str,
    ) -> Result<()> {
        let colon = if text.is_empty() { "" } else { ": " };
        let text = format!("{}, {direction}{colon}{text}", stream.as_str());
        let changed = sqlx::query!(
            "WITH changed AS (
                 UPDATE move SET stream = $3, direction = $4, stream_error = $5
                  WHERE capability = $1 AND attempt = $2
                 RETURNING attempt, epoch
             )
             INSERT INTO journal (capability, attempt, epoch, step, text, by)
             SELECT $1, attempt, epoch, 'stream', $6, $7 FROM changed",
            self.capability,
            self.attempt,
            stream.as_str(),
            direction.as_str(),
            error,
            text,
            self.store.name,
        )
        .execute(&self.store.pool);
        one(bounded(changed).await?.rows_affected())
    }

    /// A whole comparison, or that there is none any more. `at` is the control database's clock.
    pub async fn diff(&self, diff: Option<(u64, u64)>, text: &str) -> Result<()> {
        let changed = sqlx::query!(
            "WITH changed AS (
                 UPDATE move
                    SET diff_at = CASE WHEN $3::bigint IS NULL THEN NULL ELSE clock_timestamp() END,
                        diff_clean = $4::bigint = 0, diff_rows = $3, diff_differing = $4
                  WHERE capability = $1 AND attempt = $2
                 RETURNING attempt, epoch
             )
             INSERT INTO journal (capability, attempt, epoch, step, text, by)
             SELECT $1, attempt, epoch, 'vdiff', $5, $6 FROM changed",
            self.capability,
            self.attempt,
            diff.map(|(rows, _)| rows.cast_signed()),
            diff.map(|(_, differing)| differing.cast_signed()),
            text,
            self.store.name,
        )
        .execute(&self.store.pool);
        one(bounded(changed).await?.rows_affected())
    }

    /// The way back is given up, or (`finished`) gone.
    pub async fn retired(&self, finished: bool, text: &str) -> Result<()> {
        let changed = sqlx::query!(
            "WITH changed AS (
                 UPDATE move
                    SET retired = true, unfinished = NOT $3, stream = 'none', direction = NULL
                  WHERE capability = $1 AND attempt = $2 AND owner = 'service'
                 RETURNING attempt, epoch
             )
             INSERT INTO journal (capability, attempt, epoch, step, text, by)
             SELECT $1, attempt, epoch, 'complete', $4, $5 FROM changed",
            self.capability,
            self.attempt,
            finished,
            text,
            self.store.name,
        )
        .execute(&self.store.pool);
        one(bounded(changed).await?.rows_affected())
    }

    /// Nothing of the move is left.
    pub async fn cancelled(&self) -> Result<()> {
        let changed = sqlx::query!(
            "WITH changed AS (
                 UPDATE move SET unfinished = false, stream = 'none', direction = NULL
                  WHERE capability = $1 AND attempt = $2 AND owner = 'monolith' AND NOT prepared
                 RETURNING attempt, epoch
             )
             INSERT INTO journal (capability, attempt, epoch, step, text, by)
             SELECT $1, attempt, epoch, 'cancel', 'cancelled', $3 FROM changed",
            self.capability,
            self.attempt,
            self.store.name,
        )
        .execute(&self.store.pool);
        one(bounded(changed).await?.rows_affected())
    }
}
