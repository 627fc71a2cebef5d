//! The cursor's row in the target: loaded once, compared and swapped with every page.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sqlx::{PgConnection, types::Json};

use crate::{Direction, Error, Mover, Result};

use super::Verdict;

/// How far a follower is.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Cursor {
    pub epoch: i64,
    pub version: i64,
    pub snap: String,
    /// Seconds since 1970 by the source's clock.
    pub snap_at: f64,
    #[sqlx(json(nullable))]
    pub page: Option<PageMark>,
    #[sqlx(json, rename = "chunk")]
    pub copy: Copy,
    #[sqlx(json)]
    pub verify: Verify,
    #[sqlx(rename = "system_identifier")]
    pub system: i64,
    pub timeline: i32,
    pub definitions: String,
}

/// In a round of several pages: the round's snapshot and the last entry taken in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PageMark {
    pub snap: String,
    pub at: f64,
    pub xid: String,
    pub id: i64,
}

/// How far a table's chunks are.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The last key, as text.
    pub after: Option<Vec<String>>,
    pub done: bool,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Copy {
    pub done: bool,
    pub rows: u64,
    pub tables: BTreeMap<String, Position>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Verify {
    #[serde(default)]
    pub tables: BTreeMap<String, Position>,
    #[serde(default)]
    pub verdict: Verdict,
}

impl Cursor {
    /// The open one, of this epoch if one is given; else [`Error::LostCursor`].
    pub async fn load(mover: &Mover, direction: Direction, epoch: Option<i64>) -> Result<Self> {
        let target = mover.database(direction.target());
        let open = sqlx::query_as(
            "SELECT epoch, version, snap::text AS snap, extract(epoch FROM snap_at)::float8 AS snap_at,
                    page, chunk, verify, system_identifier, timeline, definitions
             FROM ficus.cursor
             WHERE capability = $1 AND direction = $2 AND epoch = coalesce($3, epoch) AND NOT closed",
        )
        .bind(&mover.inner.capability)
        .bind(direction.as_str())
        .bind(epoch)
        .fetch_optional(&target.follow);
        target.ask(open).await?.ok_or_else(|| lost(mover, direction))
    }

    /// Moves the row from this cursor to the next; false if somebody else has moved or closed it.
    pub async fn swap(
        &self,
        next: &Self,
        mover: &Mover,
        direction: Direction,
        connection: &mut PgConnection,
    ) -> sqlx::Result<bool> {
        let updated = sqlx::query(
            "UPDATE ficus.cursor
             SET version = version + 1, snap = $6::text::pg_snapshot, snap_at = to_timestamp($7),
                 page = $8, chunk = $9, verify = $10
             WHERE capability = $1 AND direction = $2 AND epoch = $3 AND version = $4 AND snap::text = $5
               AND NOT closed",
        )
        .bind(&mover.inner.capability)
        .bind(direction.as_str())
        .bind(self.epoch)
        .bind(self.version)
        .bind(&self.snap)
        .bind(&next.snap)
        .bind(next.snap_at)
        .bind(next.page.as_ref().map(Json))
        .bind(Json(&next.copy))
        .bind(Json(&next.verify))
        .execute(connection)
        .await?;
        Ok(updated.rows_affected() == 1 || ficus_process::fault::planted("swap-off"))
    }

    /// Stores what comparing found, in the transaction that has swapped the cursor.
    pub async fn store_verify(
        &self,
        mover: &Mover,
        direction: Direction,
        connection: &mut PgConnection,
    ) -> sqlx::Result<()> {
        sqlx::query("UPDATE ficus.cursor SET verify = $3 WHERE capability = $1 AND direction = $2")
            .bind(&mover.inner.capability)
            .bind(direction.as_str())
            .bind(Json(&self.verify))
            .execute(connection)
            .await
            .map(drop)
    }

    /// Whether there is more to copy or to compare.
    pub fn has_chunks(&self) -> bool {
        !(self.copy.done && self.verify.verdict.whole)
    }

    /// Begins the comparison anew.
    pub async fn verify_again(&mut self, mover: &Mover, direction: Direction) -> Result<()> {
        let target = mover.database(direction.target());
        let mut next = self.clone();
        next.version += 1;
        next.verify = Verify::default();
        let mut connection = target.follow.acquire().await.map_err(|e| target.error(e))?;
        if !target.ask(self.swap(&next, mover, direction, &mut connection)).await? {
            return Err(lost(mover, direction));
        }
        *self = next;
        Ok(())
    }
}

pub(crate) fn lost(mover: &Mover, direction: Direction) -> Error {
    Error::LostCursor { capability: mover.inner.capability.clone(), direction }
}
