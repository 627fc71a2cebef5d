//! The server that is read: whether it is still the same one, and whether its log is flushed.

use sqlx::{PgConnection, PgExecutor};

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

/// Has the commit of this transaction flush the log, which may be read-only otherwise.
pub async fn flush(conn: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::query!("SET LOCAL synchronous_commit = on").execute(&mut *conn).await?;
    sqlx::query!("SELECT pg_logical_emit_message(true, 'ficus', '')::text").fetch_one(conn).await?;
    Ok(())
}
