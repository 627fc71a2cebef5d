//! Cancel and complete: capture and fences go, logs are emptied.

use crate::{
    Direction, Mover, Result, Side,
    fence::{PATIENT, bounded, step},
};

/// What a retired table's name ends with.
const RETIRED: &str = "_retired_by_ficus";

const QUIET: &str = "SELECT ficus.quiet_table($1, $2, $3, $4)";
const UNINSTALL: &str = "SELECT ficus.uninstall_table($1, $2, $3, $4)";

impl Mover {
    /// Cancel, first half: closes the forward cursor, so that no follower can write any more, and empties the
    /// service's tables, which must be shut. Where no forward cursor is, nothing was copied and nothing is emptied.
    pub async fn empty_target(&self, attempt: i64) -> Result<()> {
        let tables = self.tables_of(Side::Service);
        self.call_with_tables(
            Side::Service,
            attempt,
            "SELECT ficus.empty_target($1, $2, $3)",
            &tables,
        )
        .await
    }

    /// Cancel, last half: capture, fences, views, cursors and logs go from both sides; the token row stays. The
    /// monolith owns. May be repeated.
    ///
    /// A service that has `owned` keeps its fence, and its tables refuse writes: a write that was sent to it before a
    /// switch back, or by somebody who has not heard of that, would be acknowledged and be nobody's.
    pub async fn uninstall(&self, attempt: i64, owned: bool) -> Result<()> {
        for side in [Side::Monolith, Side::Service] {
            self.close_cursors(side, attempt).await?;
            self.take_away(side, attempt, side == Side::Monolith || !owned).await?;
        }
        self.forget(attempt).await
    }

    /// Complete: closes the reverse cursor, renames the monolith's tables to `<name>_retired_by_ficus` with their
    /// fence shut, takes capture and views away on both sides and empties the logs. May be repeated.
    pub async fn complete(&self, attempt: i64) -> Result<()> {
        for side in [Side::Monolith, Side::Service] {
            self.close_cursors(side, attempt).await?;
        }
        self.take_away(Side::Monolith, attempt, false).await?;
        for table in self.tables_of(Side::Monolith) {
            let retired = retired_name(table);
            let text = "SELECT ficus.retire_table($1, $2, $3, $4)";
            step(self, Side::Monolith, attempt, text, table, &retired).await?;
        }
        self.take_away(Side::Service, attempt, true).await?;
        self.forget(attempt).await
    }

    /// Views first: they depend on the tables. Triggers are disabled, which locks writers out only, before they go.
    async fn take_away(&self, side: Side, attempt: i64, fence_too: bool) -> Result<()> {
        let outward: Vec<&str> =
            self.inner.definition.tables(side.outward()).iter().map(|t| t.table.as_str()).collect();
        self.call_with_tables(side, attempt, "SELECT ficus.drop_views($1, $2, $3)", &outward)
            .await?;
        for text in [QUIET, UNINSTALL] {
            for table in self.tables_of(side) {
                self.table_step(side, attempt, text, table, fence_too).await?;
            }
        }
        Ok(())
    }

    async fn table_step(
        &self,
        side: Side,
        attempt: i64,
        text: &'static str,
        table: &str,
        fence_too: bool,
    ) -> Result<()> {
        let database = self.database(side);
        let call = || async {
            sqlx::query(text)
                .bind(&self.inner.capability)
                .bind(attempt)
                .bind(table)
                .bind(fence_too)
                .execute(&database.steps)
                .await
        };
        bounded(database, table, PATIENT, call).await.map(drop)
    }

    async fn call_with_tables(
        &self,
        side: Side,
        attempt: i64,
        text: &'static str,
        tables: &[&str],
    ) -> Result<()> {
        let database = self.database(side);
        let call = || async {
            sqlx::query(text)
                .bind(&self.inner.capability)
                .bind(attempt)
                .bind(tables)
                .execute(&database.steps)
                .await
        };
        bounded(database, "every table", PATIENT, call).await.map(drop)
    }

    async fn close_cursors(&self, side: Side, attempt: i64) -> Result<()> {
        self.plain_step(side, attempt, "SELECT ficus.close_cursors($1, $2)").await
    }

    /// Logs and cursors go last: while a cursor is there, a repetition knows what is to be closed.
    async fn forget(&self, attempt: i64) -> Result<()> {
        for direction in [Direction::Forward, Direction::Reverse] {
            self.plain_step(direction.source(), attempt, "SELECT ficus.forget($1, $2)").await?;
        }
        Ok(())
    }

    async fn plain_step(&self, side: Side, attempt: i64, text: &'static str) -> Result<()> {
        let database = self.database(side);
        let call = || async {
            sqlx::query(text)
                .bind(&self.inner.capability)
                .bind(attempt)
                .execute(&database.steps)
                .await
        };
        bounded(database, "the log", PATIENT, call).await.map(drop)
    }
}

/// Cut so that it fits PostgreSQL's 63 bytes.
pub(crate) fn retired_name(table: &str) -> String {
    let mut cut = table.len().min(63 - RETIRED.len());
    while !table.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{RETIRED}", &table[..cut])
}
