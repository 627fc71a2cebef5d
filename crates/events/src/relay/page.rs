//! What comes next.
//!
//! A round is what became visible between the snapshots P and S: rows whose transaction P could not
//! see and S can. It is taken in pages by id, never by transaction id. For one key the order of ids is
//! the order of versions, because the writer holds the aggregate's row lock when the id is drawn; across
//! rounds the same lock makes the earlier version's transaction visible first.

use std::collections::HashMap;

use ficus_process::fault;
use sqlx::{PgConnection, PgPool};

use super::{
    lease::Lease,
    position::{self, Position},
    source::{self, Source},
};

const MAX_ROWS: i64 = 10_000;
const MAX_BYTES: i64 = 16 * 1024 * 1024;

/// One row of the outbox.
#[derive(Clone, Debug)]
pub struct Row {
    pub id: i64,
    pub topic: String,
    pub key: String,
    pub version: i64,
    pub event_id: uuid::Uuid,
    pub kind: String,
    pub payload: Vec<u8>,
    pub traceparent: Option<String>,
}

/// A part of a round, in the order of ids.
#[derive(Debug)]
pub struct Page {
    pub rows: Vec<Row>,
    /// S, the round's snapshot.
    pub snap: String,
    /// The round ends with it.
    pub is_last: bool,
}

impl Page {
    pub fn last_id(&self) -> Option<i64> {
        self.rows.last().map(|row| row.id)
    }
}

/// A page with the position before it, and the server that it was read from.
pub struct Read {
    pub position: Position,
    pub page: Page,
    pub source: Source,
}

/// Reads the next page in a transaction of its own, which is over when this returns. `None` as for
/// [`position::read`].
pub async fn next(pool: &PgPool, lease: &Lease) -> sqlx::Result<Option<Read>> {
    let mut tx = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let Some(position) = position::read(&mut tx, lease).await? else { return Ok(None) };
    let source = source::now(&mut *tx).await?;
    let page = read(&mut tx, &lease.capability, &position).await?;
    tx.commit().await?;
    Ok(Some(Read { position, page, source }))
}

/// Materialised, so that neither the order nor the last id tempts the planner into reading the whole
/// outbox by its primary key.
async fn read(
    conn: &mut PgConnection,
    capability: &str,
    position: &Position,
) -> sqlx::Result<Page> {
    let snap = position.round_snap.as_ref().unwrap_or(&position.now).clone();
    let rows = sqlx::query!(
        r#"WITH unseen AS MATERIALIZED (
               SELECT id, xid FROM ficus.outbox
               WHERE capability = $1 AND xid >= pg_snapshot_xmax($2::text::pg_snapshot)
               UNION ALL
               SELECT o.id, o.xid FROM pg_snapshot_xip($2::text::pg_snapshot) AS open (xid)
               CROSS JOIN LATERAL (
                   SELECT id, xid FROM ficus.outbox WHERE capability = $1 AND xid = open.xid
               ) AS o
           ), page AS MATERIALIZED (
               SELECT id FROM unseen
               WHERE id > $4 AND pg_visible_in_snapshot(xid, $3::text::pg_snapshot)
               ORDER BY id LIMIT $5
           ), sized AS (
               SELECT o.*, sum(octet_length(o.payload)) OVER (ORDER BY o.id) - octet_length(o.payload) AS before
               FROM page JOIN ficus.outbox AS o USING (id)
           )
           SELECT id, topic, key, version, event_id, type AS kind, payload, traceparent,
                  (SELECT count(*) FROM page) AS "found!"
           FROM sized WHERE before < $6 ORDER BY id"#,
        capability,
        position.snap,
        snap,
        position.round_id.unwrap_or(0),
        MAX_ROWS,
        MAX_BYTES,
    )
    .fetch_all(&mut *conn)
    .await?;
    let found = rows.first().map_or(0, |row| row.found);
    let is_last = found < MAX_ROWS && i64::try_from(rows.len()).is_ok_and(|taken| taken == found);
    let rows = rows.into_iter().map(|row| Row {
        id: row.id,
        topic: row.topic,
        key: row.key,
        version: row.version,
        event_id: row.event_id,
        kind: row.kind,
        payload: row.payload,
        traceparent: row.traceparent,
    });
    let mut rows: Vec<Row> = rows.collect();
    if fault::planted("relay-by-xid") {
        sort_by_xid(&mut rows, conn).await?;
    }
    Ok(Page { rows, snap, is_last })
}

/// What must not be done, for a test that is to notice it.
async fn sort_by_xid(rows: &mut [Row], conn: &mut PgConnection) -> sqlx::Result<()> {
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let xids: Vec<(i64, i64)> =
        sqlx::query_as("SELECT id, xid::text::bigint FROM ficus.outbox WHERE id = ANY ($1)")
            .bind(ids)
            .fetch_all(conn)
            .await?;
    let xids: HashMap<i64, i64> = xids.into_iter().collect();
    rows.sort_by_key(|row| (xids.get(&row.id).copied(), row.id));
    Ok(())
}
