//! Removes what was sent long ago.

use std::time::Duration;

use sqlx::PgPool;

const INTERVAL: Duration = Duration::from_mins(1);
const CHUNK: i64 = 5_000;

/// Prunes for ever.
pub async fn run(pool: &PgPool, capability: &str) {
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
async fn prune(pool: &PgPool, capability: &str) -> sqlx::Result<u64> {
    let mut pruned = 0;
    loop {
        let chunk = prune_chunk(pool, capability).await?;
        pruned += chunk;
        if chunk < CHUNK.unsigned_abs() {
            return Ok(pruned);
        }
    }
}

async fn prune_chunk(pool: &PgPool, capability: &str) -> sqlx::Result<u64> {
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
    Ok(deleted.execute(pool).await?.rows_affected())
}
