//! The token row, which every step matches first, and the sessions of attempts that are over.

use crate::{Error, Mover, Result, Side};
use std::time::Duration;

use ficus_pg::within;

/// For sessions to end, each of which has 5 s for it.
const ENDING: Duration = Duration::from_mins(1);

/// What the token row of a database says.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Token {
    pub epoch: i64,
    pub attempt: i64,
}

impl Mover {
    /// The token row, if the capability has one in this database.
    pub async fn token(&self, side: Side) -> Result<Option<Token>> {
        let database = self.database(side);
        let token = sqlx::query_as("SELECT epoch, attempt FROM ficus.token WHERE capability = $1")
            .bind(&self.inner.capability)
            .fetch_optional(&database.follow);
        database.ask(token).await
    }

    /// Raises the token row to this attempt and epoch (the same attempt may be said again, as after C6 with
    /// the new epoch). [`Error::StaleAttempt`] if a later attempt is there, [`Error::PastEpoch`] if a later epoch.
    pub async fn raise_token(&self, side: Side, attempt: i64, epoch: i64) -> Result<()> {
        let database = self.database(side);
        let raised = sqlx::query_scalar("SELECT ficus.raise_token($1, $2, $3)")
            .bind(&self.inner.capability)
            .bind(attempt)
            .bind(epoch)
            .fetch_one(&database.steps);
        if database.ask(raised).await? {
            Ok(())
        } else {
            Err(Error::StaleAttempt { capability: self.inner.capability.clone(), side })
        }
    }

    /// Ends every session in this database of attempts below this one that has a transaction open, and waits until they
    /// are gone; how many. At a takeover on the owner's database this comes before [`Mover::raise_token`], which those
    /// would keep waiting. One at rest holds nothing, and may be this mover's own. A follower's are of no attempt, and all
    /// end: one that is stopped in the midst of a COPY has the cursor's row, and no limit to a statement or to a
    /// transaction at rest ends it, for the server waits for its next row.
    pub async fn end_sessions(&self, side: Side, below: i64) -> Result<u64> {
        let database = self.database(side);
        let ended = sqlx::query_scalar(
            "SELECT count(pg_terminate_backend(pid, 5000))
             FROM pg_stat_activity
             WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()
               AND (substring(application_name FROM '^ficus:' || $1 || ':([0-9]{1,18})$')::bigint < $2
                    OR application_name = 'ficus-follow:' || $1)",
        )
        .bind(&self.inner.capability)
        .bind(below)
        .fetch_one(&database.follow);
        let ended: i64 = within(ENDING, ended).await.map_err(|e| database.error(e))?;
        Ok(u64::try_from(ended).unwrap_or_default())
    }
}
