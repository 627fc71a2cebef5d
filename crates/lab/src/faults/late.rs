//! Writers whose transactions begin early and write or commit late: what others do meanwhile comes before.

use std::time::Duration;

use anyhow::Result;
use futures::future::try_join_all;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use sqlx::{Connection as _, PgConnection};

const OPEN: Duration = Duration::from_millis(80);
const BETWEEN: Duration = Duration::from_millis(40);
/// Of one key, at once, and how many events each writes.
const WRITERS: u64 = 4;
const EVENTS: usize = 40;

/// Marks seeded items of the monolith's as read, so many of them, and commits each late; which they are.
pub async fn commits(monolith: &str, items: i64) -> Result<Vec<i64>> {
    let mut database = PgConnection::connect(monolith).await?;
    let statement = "SELECT id FROM notifications WHERE read_at IS NULL ORDER BY id LIMIT $1";
    let ids: Vec<i64> = sqlx::query_scalar(statement).bind(items).fetch_all(&mut database).await?;
    for &id in &ids {
        let mut tx = database.begin().await?;
        sqlx::query("UPDATE notifications SET read_at = now() AT TIME ZONE 'UTC' WHERE id = $1")
            .bind(id)
            .execute(&mut *tx)
            .await?;
        tokio::time::sleep(OPEN).await;
        tx.commit().await?;
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(ids)
}

/// Those of the items that the service does not have as read.
pub async fn unread(service: &str, items: &[i64]) -> Result<Vec<i64>> {
    let mut database = PgConnection::connect(service).await?;
    let statement = "SELECT id FROM unnest($1::bigint[]) AS late (id)
                      WHERE NOT EXISTS (SELECT FROM inbox_items
                                         WHERE inbox_items.id = late.id AND read_at IS NOT NULL)
                      ORDER BY id";
    Ok(sqlx::query_scalar(statement).bind(items).fetch_all(&mut database).await?)
}

/// Has several writers publish events of one key, as a service does: version and event in one transaction. Each has
/// its transaction id some time before it comes to the version.
pub async fn events(monolith: &str) -> Result<()> {
    let mut database = PgConnection::connect(monolith).await?;
    let statement = "CREATE TABLE ficus.late AS SELECT 0::bigint AS version";
    sqlx::raw_sql(statement).execute(&mut database).await?;
    try_join_all((0..WRITERS).map(|writer| write(monolith, writer))).await?;
    Ok(())
}

async fn write(monolith: &str, writer: u64) -> Result<()> {
    let mut database = PgConnection::connect(monolith).await?;
    let mut random = StdRng::seed_from_u64(writer);
    for _ in 0..EVENTS {
        let mut tx = database.begin().await?;
        sqlx::query("SELECT pg_current_xact_id()::text").execute(&mut *tx).await?;
        tokio::time::sleep(OPEN.mul_f64(random.random())).await;
        sqlx::query(
            "WITH next AS (UPDATE ficus.late SET version = version + 1 RETURNING version)
             INSERT INTO ficus.outbox (capability, topic, key, version, type, payload)
             SELECT 'core', 'trellis.core.v1', 'late', version, 'trellis.events.v1.Late', '' FROM next",
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
    }
    Ok(())
}
