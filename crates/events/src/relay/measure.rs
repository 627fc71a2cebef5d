//! What the leader shows of its outbox and its database.

use std::{sync::LazyLock, time::Duration};

use ficus_pg::Pool;
use ficus_pg::within;
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge},
};
use sqlx::PgConnection;

use super::lag;

const INTERVAL: Duration = Duration::from_secs(5);
/// Somewhat longer than the server has.
const SILENCE: Duration = Duration::from_secs(70);
/// One round trip. The more is behind the longer it takes to count, and the more it matters.
const BEGIN: &str = "BEGIN READ ONLY; SET LOCAL statement_timeout = '1min'";

static EVENTS: LazyLock<Gauge<i64>> = LazyLock::new(|| {
    global::meter("ficus-events")
        .i64_gauge("ficus.outbox.lag.events")
        .with_description("Events in the outbox that the broker has not acknowledged")
        .build()
});
static AGE: LazyLock<Gauge<f64>> = LazyLock::new(|| {
    seconds("ficus.outbox.lag", "Age of the oldest event that the broker has not acknowledged")
});
static OLDEST: LazyLock<Gauge<f64>> = LazyLock::new(|| {
    seconds(
        "ficus.pg.oldest_transaction",
        "Age of the database's oldest open transaction; prepared ones are among them",
    )
});
static SENT: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("ficus-events")
        .u64_counter("ficus.relay.events")
        .with_description("Events that the broker has acknowledged, repeats among them")
        .build()
});

fn seconds(name: &'static str, description: &'static str) -> Gauge<f64> {
    let meter = global::meter("ficus-events");
    meter.f64_gauge(name).with_unit("s").with_description(description).build()
}

/// Counts a page that the broker has.
pub fn sent(events: usize, capability: &str) {
    SENT.add(events as u64, &[KeyValue::new("capability", capability.to_owned())]);
}

/// Who no longer leads is behind with nothing.
struct Shown([KeyValue; 1]);

impl Drop for Shown {
    fn drop(&mut self) {
        EVENTS.record(0, &self.0);
        AGE.record(0.0, &self.0);
    }
}

/// Measures every five seconds, for ever.
pub async fn run(pool: &Pool, capability: &str) {
    let shown = Shown([KeyValue::new("capability", capability.to_owned())]);
    loop {
        if let Err(error) = within(SILENCE, measure(pool, capability, &shown.0)).await {
            tracing::debug!(%error, "failed to measure the outbox");
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn measure(pool: &Pool, capability: &str, label: &[KeyValue]) -> sqlx::Result<()> {
    let mut tx = ficus_pg::begin_with(pool, BEGIN).await?;
    let lag = lag::read(&mut *tx, capability).await?;
    EVENTS.record(lag.events, label);
    AGE.record(lag.age.as_secs_f64(), label);
    OLDEST.record(oldest_transaction(&mut tx).await?, &[]);
    tx.commit().await
}

/// In seconds.
async fn oldest_transaction(conn: &mut PgConnection) -> sqlx::Result<f64> {
    sqlx::query_scalar!(
        r#"SELECT coalesce(extract(epoch FROM clock_timestamp() - min(begun)), 0)::float8 AS "seconds!"
           FROM (SELECT xact_start FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()
                 UNION ALL
                 SELECT prepared FROM pg_prepared_xacts WHERE database = current_database()) AS open (begun)"#
    )
    .fetch_one(conn)
    .await
}
