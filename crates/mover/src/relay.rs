//! Handing over a capability's topics between the two databases' relays (`ficus.relay` of crates/events).

use crate::{
    Mover, Result, Side,
    fence::{FENCE_BUDGET, bounded},
    opening::flush_log,
};

impl Mover {
    /// Holds or releases the capability's relay on this side. False if no relay has ever run there.
    pub async fn hold_relay(&self, side: Side, attempt: i64, held: bool) -> Result<bool> {
        let database = self.database(side);
        let call = || async {
            sqlx::query_scalar("SELECT ficus.hold_relay($1, $2, $3)")
                .bind(&self.inner.capability)
                .bind(attempt)
                .bind(held)
                .fetch_one(&database.steps)
                .await
        };
        bounded(database, "ficus.relay", FENCE_BUDGET, call).await
    }

    /// A snapshot of this side now, as text. After C1: everything that the old relay must have sent.
    pub async fn snapshot(&self, side: Side) -> Result<String> {
        let database = self.database(side);
        let look = async {
            let mut connection = database.follow.acquire().await?;
            let snapshot = sqlx::query_scalar("SELECT pg_current_snapshot()::text")
                .fetch_one(&mut *connection)
                .await?;
            flush_log(&mut connection).await?;
            Ok(snapshot)
        };
        database.ask(look).await
    }

    /// Whether this side's relay has confirmed everything that the snapshot sees. True where none has ever run.
    pub async fn relay_confirmed(&self, side: Side, snapshot: &str) -> Result<bool> {
        let database = self.database(side);
        let confirmed = sqlx::query_scalar(
            "SELECT NOT EXISTS (
                 SELECT FROM ficus.relay
                 WHERE capability = $1
                   AND (pg_snapshot_xmax(snap) < pg_snapshot_xmax($2::text::pg_snapshot)
                        OR EXISTS (SELECT FROM pg_snapshot_xip(snap) AS open
                                   WHERE pg_visible_in_snapshot(open, $2::text::pg_snapshot))))",
        )
        .bind(&self.inner.capability)
        .bind(snapshot)
        .fetch_one(&database.follow);
        database.ask(confirmed).await
    }
}
