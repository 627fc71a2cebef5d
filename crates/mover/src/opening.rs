//! C5 and C7: the new owner's opening, prepared before the point of no return and committed after it.

use ficus_pg::{Session, within};
use sqlx::PgConnection;

use crate::{
    Direction, Error, Mover, Result,
    database::BEGIN_WRITE,
    fence::{FENCE_BUDGET, SILENCE, bounded},
};

/// A transaction in which the target is open already. Nobody sees it before [`Opening::commit`]; the server ends
/// it after 2 s.
#[must_use = "an opening that is dropped is rolled back"]
#[derive(Debug)]
pub struct Opening {
    mover: Mover,
    direction: Direction,
    transaction: Session,
}

impl Opening {
    /// C7. After an error, or 2 s without an answer, it is unknown whether it happened: prepare and commit again (doing it
    /// twice is harmless).
    pub async fn commit(self) -> Result<()> {
        let database = self.mover.database(self.direction.target());
        within(SILENCE, self.transaction.commit()).await.map_err(|e| database.error(e))
    }

    /// Abort: the target stays shut and its cursor open.
    pub async fn rollback(self) -> Result<()> {
        let database = self.mover.database(self.direction.target());
        within(SILENCE, self.transaction.rollback()).await.map_err(|e| database.error(e))
    }
}

/// What a source is and a snapshot of it, from `ficus.look`.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Look {
    pub recovering: bool,
    pub system: Option<i64>,
    pub timeline: Option<i32>,
    pub definitions: Option<String>,
    pub snap: String,
    /// Seconds since 1970 by the source's clock.
    pub at: f64,
    pub flushed: Option<bool>,
    /// The log was pruned beyond the cursor.
    pub gap: bool,
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
        self.store_cursor(direction.opposite(), attempt, next_epoch, true).await
    }

    /// C5, second half: closes the direction's cursor and disables the target's fence in a transaction that is
    /// left open. Within 300 ms, else [`crate::Error::LockTimeout`]. Also how a lost C7 is done again.
    /// `epoch` is the one that begins.
    pub async fn prepare_opening(
        &self,
        direction: Direction,
        attempt: i64,
        epoch: i64,
    ) -> Result<Opening> {
        let database = self.database(direction.target());
        let tables = self.tables_of(direction.target());
        let call = || async {
            let mut transaction = ficus_pg::begin_with(&database.openings, BEGIN_WRITE).await?;
            sqlx::query("SELECT ficus.open($1, $2, $3, $4, $5)")
                .bind(&self.inner.capability)
                .bind(attempt)
                .bind(epoch)
                .bind(direction.as_str())
                .bind(&tables)
                .execute(&mut *transaction)
                .await?;
            Ok(transaction)
        };
        let transaction = bounded(database, "every table", FENCE_BUDGET, call).await?;
        Ok(Opening { mover: self.clone(), direction, transaction })
    }

    /// The same, taken back at once, while the target is shut and the source is not yet: the session that C5 will use
    /// has then what it took it 13 ms to get on a busy machine, of which nobody could write. Only another step or a page
    /// may meet its locks, which it has for a moment.
    pub async fn rehearse_opening(
        &self,
        direction: Direction,
        attempt: i64,
        epoch: i64,
    ) -> Result<()> {
        self.prepare_opening(direction, attempt, epoch).await?.rollback().await
    }

    /// Stores a cursor that starts now: `copied` if the target has everything up to now, else to be copied.
    pub(crate) async fn store_cursor(
        &self,
        direction: Direction,
        attempt: i64,
        epoch: i64,
        copied: bool,
    ) -> Result<()> {
        let (source, target) =
            (self.database(direction.source()), self.database(direction.target()));
        let mut connection = source.follow.acquire().await.map_err(|e| source.error(e))?;
        let look = source.ask(self.look(&mut connection, direction, "3:3:")).await?;
        if look.recovering {
            return Err(Error::NeedsRebase { reason: "the source is a standby".to_owned() });
        }
        source.ask(flush_log(&mut connection)).await?;
        drop(connection);
        let copy = serde_json::json!({ "done": copied, "rows": 0, "tables": {} });
        let call = || async {
            sqlx::query(
                "SELECT ficus.store_cursor($1, $2, $3, $4, $5::text::pg_snapshot, $6, $7, $8, $9, $10)",
            )
            .bind(&self.inner.capability)
            .bind(attempt)
            .bind(direction.as_str())
            .bind(epoch)
            .bind(&look.snap)
            .bind(look.at)
            .bind(&copy)
            .bind(look.system)
            .bind(look.timeline)
            .bind(&look.definitions)
            .execute(&target.steps)
            .await
        };
        bounded(target, "ficus.cursor", FENCE_BUDGET, call).await.map(drop)
    }

    /// Looks at a direction's source; `since` is the cursor's snapshot.
    pub(crate) async fn look(
        &self,
        connection: &mut PgConnection,
        direction: Direction,
        since: &str,
    ) -> sqlx::Result<Look> {
        sqlx::query_as(
            "SELECT l.recovering, l.system, l.timeline, l.definitions, l.snap::text AS snap, l.at, l.flushed,
                    EXISTS (SELECT FROM ficus.pruned AS p
                            WHERE p.capability = $3
                              AND pg_snapshot_xmin($4::text::pg_snapshot) < pg_snapshot_xmin(p.snap)) AS gap
             FROM ficus.look($1, $2) AS l",
        )
        .bind(self.tables_of(direction.source()))
        .bind(self.views_of(direction))
        .bind(&self.inner.capability)
        .bind(since)
        .fetch_one(connection)
        .await
    }
}

/// Has the log flushed past everything that happened before. A snapshot that is stored counts only then: after
/// a crash PostgreSQL gives the ids of transactions out again whose end was not flushed.
pub(crate) async fn flush_log(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query("SELECT pg_logical_emit_message(true, 'ficus', '')")
        .execute(connection)
        .await
        .map(drop)
}
