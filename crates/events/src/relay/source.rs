//! The server that is read: whether it is still the same one, and whether its log is flushed.

use sqlx::{PgExecutor, PgPool};

/// Which server, and which of its histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    pub system_identifier: i64,
    pub timeline: i32,
}

/// The timeline is the one being written: `pg_control_checkpoint()` shows the old one for seconds after
/// a promotion. A server in recovery refuses, as it must: its snapshots are not the primary's.
pub async fn now(executor: impl PgExecutor<'_>) -> sqlx::Result<Source> {
    sqlx::query_as!(
        Source,
        r#"SELECT system_identifier AS "system_identifier!",
                  ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int AS "timeline!"
           FROM pg_control_system()"#
    )
    .fetch_one(executor)
    .await
}

/// Returns when the log is flushed past `written`, which was read after a snapshot. Until then a crash
/// would have the server give out again the transaction ids that this snapshot has seen.
pub async fn flush(pool: &PgPool, written: &str) -> sqlx::Result<()> {
    if is_flushed(pool, written).await? {
        return Ok(());
    }
    let mut tx = ficus_pg::begin(pool, "flush").await?;
    sqlx::query!("SET LOCAL synchronous_commit = on").execute(&mut *tx).await?;
    sqlx::query!("SELECT pg_logical_emit_message(true, 'ficus', '')::text")
        .fetch_one(&mut *tx)
        .await?;
    tx.commit().await
}

async fn is_flushed(pool: &PgPool, written: &str) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"SELECT pg_current_wal_flush_lsn() >= $1::text::pg_lsn AS "flushed!""#,
        written
    )
    .fetch_one(pool)
    .await
}
