//! Removes what was sent long ago.

use std::time::Duration;

use ficus_pg::{Pool, within};

const INTERVAL: Duration = Duration::from_mins(1);
const CHUNK: i64 = 5_000;
/// Somewhat longer than the server has.
const SILENCE: Duration = Duration::from_secs(70);
/// One round trip. After a long outage much was sent that is not old enough, and is looked through in vain.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = '1min'";

/// Prunes for ever.
pub async fn run(pool: &Pool, capability: &str) {
    loop {
        tokio::time::sleep(INTERVAL).await;
        match prune(pool, capability).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(capability, rows, "pruned the outbox"),
            Err(error) => tracing::warn!(capability, %error, "failed to prune the outbox"),
        }
    }
}

/// Deletes events that every leader's position has long seen, 15 minutes after they were appended.
async fn prune(pool: &Pool, capability: &str) -> sqlx::Result<u64> {
    let mut pruned = 0;
    loop {
        let chunk = within(SILENCE, prune_chunk(pool, capability)).await?;
        pruned += chunk;
        if chunk < CHUNK.unsigned_abs() {
            return Ok(pruned);
        }
    }
}

async fn prune_chunk(pool: &Pool, capability: &str) -> sqlx::Result<u64> {
    let mut tx = ficus_pg::begin_with(pool, BEGIN).await?;
    let deleted = sqlx::query!(
        "DELETE FROM ficus.outbox WHERE id IN (
             SELECT o.id FROM ficus.relay AS relay JOIN ficus.outbox AS o USING (capability)
             WHERE relay.capability = $1
               AND o.xid < pg_snapshot_xmin(relay.snap)
               AND o.created_at < now() - interval '15 minutes'
             LIMIT $2)",
        capability,
        CHUNK,
    );
    let deleted = deleted.execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(deleted.rows_affected())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
mod tests {
    use trellis_testkit::{Migrations, Server, database};

    use super::*;

    const ROWS: &str = "
        INSERT INTO ficus.outbox (capability, topic, key, version, type, payload, xid, created_at)
        VALUES ('library', 't', 'sent and old', 1, 'k', '', '10', now() - interval '16 minutes'),
               ('library', 't', 'sent and new', 1, 'k', '', '10', now()),
               ('library', 't', 'not sent', 1, 'k', '', '20', now() - interval '16 minutes'),
               ('other', 't', 'of another', 1, 'k', '', '10', now() - interval '16 minutes');
        INSERT INTO ficus.relay (capability, snap, system_identifier, timeline)
        VALUES ('library', '20:21:20', 1, 1);";

    #[tokio::test]
    async fn only_what_was_sent_long_ago_goes() {
        let migrations =
            Migrations { migrator: &crate::MIGRATOR, table: "_sqlx_migrations_events" };
        let database = database(Server::First, &[migrations]).await;
        let pool = database.pool().await;
        sqlx::raw_sql(ROWS).execute(&pool).await.unwrap();
        assert_eq!(prune(&pool, "library").await.unwrap(), 1);
        let kept: Vec<String> = sqlx::query_scalar("SELECT key FROM ficus.outbox ORDER BY id")
            .fetch_all(&pool)
            .await
            .unwrap();
        assert_eq!(kept, ["sent and new", "not sent", "of another"]);
    }
}
