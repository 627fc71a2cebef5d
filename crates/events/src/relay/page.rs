//! What comes next.
//!
//! A round is what became visible between the snapshots P and S: rows whose transaction P could not
//! see and S can. It is taken in pages by id, never by transaction id. For one key the order of ids is
//! the order of versions, because the writer holds the aggregate's row lock when the id is drawn; across
//! rounds the same lock makes the earlier version's transaction visible first.

use std::{collections::HashMap, time::Duration};

use ficus_pg::Pool;
use ficus_pg::within;
use ficus_process::fault;
use sqlx::PgConnection;

use super::{
    lease::Lease,
    position::{self, Position},
    source::{self, Source},
};

const MAX_ROWS: usize = 10_000;
#[expect(clippy::cast_possible_wrap, reason = "a small number")]
const LIMIT: i64 = MAX_ROWS as i64;
macro_rules! begin {
    ($limit:literal) => {
        concat!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '",
            $limit,
            "'"
        )
    };
}
/// How long a page may take, and what begins it, in one round trip.
const TRIES: [(Duration, &str); 3] = [
    (Duration::from_secs(15), begin!("15s")),
    (Duration::from_mins(2), begin!("2min")),
    (Duration::from_mins(10), begin!("10min")),
];
const MAX_BYTES: i64 = 16 * 1024 * 1024;

/// How long a page is waited for. A round's first one reads and sorts whatever is unseen, which after a long outage takes
/// minutes; cut off at the same time again, it would begin anew for ever. A host that is gone without a word gives no
/// answer either, and must not be waited for as long. So it is 15 s at first, then 2 and 10 min.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience(usize);

impl Patience {
    /// For the next try, after one that took too long.
    pub fn longer(self) -> Self {
        Self((self.0 + 1).min(TRIES.len() - 1))
    }
}

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

/// Reads the page after what is confirmed, or after `unconfirmed`, in a transaction of its own. The commit that ends it
/// has the server's log flushed past what was read, so nothing that leaves can be undone by a crash of the server: one
/// that has crashed meanwhile has ended the session. `None` as for [`position::read`].
pub async fn next(
    pool: &Pool,
    lease: &Lease,
    unconfirmed: Option<&Read>,
    Patience(tries): Patience,
) -> sqlx::Result<Option<Read>> {
    let (limit, begin) = TRIES[tries];
    within(limit, take(pool, lease, unconfirmed, begin)).await
}

async fn take(
    pool: &Pool,
    lease: &Lease,
    unconfirmed: Option<&Read>,
    begin: &'static str,
) -> sqlx::Result<Option<Read>> {
    let mut tx = ficus_pg::begin_with(pool, begin).await?;
    let Some(mut position) = position::read(&mut tx, lease).await? else { return Ok(None) };
    if let Some(Read { position: before, page, .. }) = unconfirmed {
        position.at = before.at.past(page);
    }
    let source = source::now(&mut *tx).await?;
    let page = read(&mut tx, &lease.capability, &position).await?;
    if !position.flushed {
        source::flush(&mut tx).await?;
    }
    tx.commit().await?;
    Ok(Some(Read { position, page, source }))
}

async fn read(
    conn: &mut PgConnection,
    capability: &str,
    position: &Position,
) -> sqlx::Result<Page> {
    let at = &position.at;
    let snap = at.round_snap.as_ref().unwrap_or(&position.now).clone();
    let ids = match at.round_id {
        None => first_ids(conn, capability, &at.snap, &snap).await?,
        Some(last) => next_ids(conn, capability, &at.snap, &snap, last).await?,
    };
    let rows = sqlx::query!(
        r#"WITH sized AS (
               SELECT o.*, sum(octet_length(o.payload)) OVER (ORDER BY o.id) - octet_length(o.payload) AS before
               FROM unnest($1::bigint[]) AS page (id) JOIN ficus.outbox AS o USING (id)
           )
           SELECT id, topic, key, version, event_id, type AS kind, payload, traceparent
           FROM sized WHERE before < $2 ORDER BY id"#,
        &ids,
        MAX_BYTES,
    )
    .fetch_all(&mut *conn)
    .await?;
    let is_last = ids.len() < MAX_ROWS && rows.len() == ids.len();
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

/// The ids that a round begins with, by the index on transactions: what is unseen is at its end, wherever its ids are.
/// Materialised, so that the order does not tempt the planner into reading the whole outbox by its primary key.
async fn first_ids(
    conn: &mut PgConnection,
    capability: &str,
    seen: &str,
    snap: &str,
) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        r#"WITH unseen AS MATERIALIZED (
               SELECT id, xid FROM ficus.outbox
               WHERE capability = $1 AND xid >= pg_snapshot_xmax($2::text::pg_snapshot)
               UNION ALL
               SELECT o.id, o.xid FROM pg_snapshot_xip($2::text::pg_snapshot) AS open (xid)
               CROSS JOIN LATERAL (
                   SELECT id, xid FROM ficus.outbox WHERE capability = $1 AND xid = open.xid
               ) AS o
           )
           SELECT id AS "id!" FROM unseen
           WHERE pg_visible_in_snapshot(xid, $3::text::pg_snapshot)
           ORDER BY id LIMIT $4"#,
        capability,
        seen,
        snap,
        LIMIT,
    )
    .fetch_all(conn)
    .await
}

/// The ids that a round goes on with, by the primary key: a page costs the same however long the backlog is.
async fn next_ids(
    conn: &mut PgConnection,
    capability: &str,
    seen: &str,
    snap: &str,
    last: i64,
) -> sqlx::Result<Vec<i64>> {
    sqlx::query_scalar!(
        "SELECT id FROM ficus.outbox
         WHERE id > $4 AND capability = $1
           AND NOT pg_visible_in_snapshot(xid, $2::text::pg_snapshot)
           AND pg_visible_in_snapshot(xid, $3::text::pg_snapshot)
         ORDER BY id LIMIT $5",
        capability,
        seen,
        snap,
        last,
        LIMIT,
    )
    .fetch_all(conn)
    .await
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
mod tests {
    use sqlx::{
        PgConnection,
        postgres::{PgConnectOptions, PgPoolOptions},
    };
    use trellis_testkit::{Database, Migrations, Server, database};

    use super::*;
    use crate::relay::lease;

    const CAPABILITY: &str = "library";

    /// A database with an empty outbox, and the lease on it. The database lasts as long as its handle.
    async fn leading() -> (Database, Pool, Lease) {
        let migrations =
            Migrations { migrator: &crate::MIGRATOR, table: "_sqlx_migrations_events" };
        let database = database(Server::First, &[migrations]).await;
        let pool = database.pool().await;
        let lease = lease::acquire(&pool, CAPABILITY, "holder").await.unwrap().unwrap();
        (database, pool, lease)
    }

    async fn append(conn: &mut PgConnection, events: i32) {
        sqlx::query(
            "INSERT INTO ficus.outbox (capability, topic, key, version, type, payload)
             SELECT $1, 't', 'key-' || n, 1, 'k', '' FROM generate_series(1, $2) AS n",
        )
        .bind(CAPABILITY)
        .bind(events)
        .execute(conn)
        .await
        .unwrap();
    }

    /// Takes a round's pages; how long each was, and all their ids.
    async fn round(pool: &Pool, lease: &Lease) -> (Vec<usize>, Vec<i64>) {
        let (mut lengths, mut ids) = (Vec::new(), Vec::new());
        loop {
            let read = next(pool, lease, None, Patience::default()).await.unwrap().unwrap();
            lengths.push(read.page.rows.len());
            ids.extend(read.page.rows.iter().map(|row| row.id));
            assert!(position::advance(pool, lease, &read.position, &read.page).await.unwrap());
            if read.page.is_last {
                return (lengths, ids);
            }
        }
    }

    #[tokio::test]
    async fn a_long_backlog_is_taken_in_pages_by_id_and_what_commits_meanwhile_is_the_next_round() {
        let (_database, pool, lease) = leading().await;
        let mut conn = pool.acquire().await.unwrap();
        // Two thousand ids in the midst belong to a transaction that is open until the round has begun.
        append(&mut conn, 9_000).await;
        let mut late = pool.begin().await.unwrap();
        append(&mut late, 2_000).await;
        append(&mut conn, 14_000).await;
        let first = next(&pool, &lease, None, Patience::default()).await.unwrap().unwrap();
        let second = next(&pool, &lease, Some(&first), Patience::default()).await.unwrap().unwrap();
        assert!(position::advance(&pool, &lease, &first.position, &first.page).await.unwrap());
        late.commit().await.unwrap();
        append(&mut conn, 10).await;

        let again = next(&pool, &lease, None, Patience::default()).await.unwrap().unwrap();
        let ids = |read: &Read| read.page.rows.iter().map(|row| row.id).collect::<Vec<_>>();
        assert_eq!(ids(&second), ids(&again));
        let (lengths, ids) = round(&pool, &lease).await;
        assert_eq!((first.page.rows.len(), lengths), (MAX_ROWS, vec![MAX_ROWS, 3_000]));
        let all: Vec<i64> = first.page.rows.iter().map(|row| row.id).chain(ids).collect();
        assert_eq!(all, (1..=9_000).chain(11_001..=25_000).collect::<Vec<_>>());
        let (lengths, ids) = round(&pool, &lease).await;
        assert_eq!(lengths, [2_010]);
        assert_eq!(ids, (9_001..=11_000).chain(25_001..=25_010).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_backlog_that_takes_longer_to_read_than_a_request_may_take_is_published() {
        let (_database, pool, lease) = leading().await;
        append(&mut pool.acquire().await.unwrap(), 300_000).await;
        let options = PgConnectOptions::clone(&pool.connect_options());
        let short = options.options([("statement_timeout", "20ms")]);
        let short = Pool::from(PgPoolOptions::new().connect_lazy_with(short));
        let mut conn = pool.acquire().await.unwrap();
        let position = position::read(&mut conn, &lease).await.unwrap().unwrap();
        let mut request = short.acquire().await.unwrap();
        let ids = first_ids(&mut request, CAPABILITY, &position.at.snap, &position.now).await;
        let code =
            ids.unwrap_err().as_database_error().and_then(|error| error.code().map(String::from));
        assert_eq!(code.as_deref(), Some("57014"), "a request has no time for it");
        let read = next(&short, &lease, None, Patience::default()).await.unwrap().unwrap();
        assert_eq!((read.page.rows.len(), read.page.is_last), (MAX_ROWS, false));
        assert!(position::advance(&pool, &lease, &read.position, &read.page).await.unwrap());
    }

    #[tokio::test]
    async fn what_leaves_is_flushed() {
        let (_database, pool, lease) = leading().await;
        let mut conn = pool.acquire().await.unwrap();
        for _ in 0..10 {
            // Its end is not flushed for some 200 ms by itself, and the snapshot sees it.
            let mut rolled_back = pool.begin().await.unwrap();
            append(&mut rolled_back, 1).await;
            rolled_back.rollback().await.unwrap();
            let written: String = sqlx::query_scalar("SELECT pg_current_wal_insert_lsn()::text")
                .fetch_one(&mut *conn)
                .await
                .unwrap();
            next(&pool, &lease, None, Patience::default()).await.unwrap().unwrap();
            let flushed = "SELECT pg_current_wal_flush_lsn() >= $1::text::pg_lsn";
            let flushed: bool =
                sqlx::query_scalar(flushed).bind(written).fetch_one(&mut *conn).await.unwrap();
            assert!(flushed);
        }
    }

    #[tokio::test]
    async fn a_read_that_is_dropped_anywhere_leaves_no_session_in_its_transaction() {
        let (_database, pool, lease) = leading().await;
        for polls in (0..15).cycle().take(300) {
            {
                let mut read = std::pin::pin!(next(&pool, &lease, None, Patience::default()));
                for _ in 0..polls {
                    if futures::poll!(read.as_mut()).is_ready() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_micros(100)).await;
                }
            }
            let mut tx = pool.begin().await.unwrap();
            append(&mut tx, 1).await;
            tx.commit().await.unwrap();
        }
    }
}
