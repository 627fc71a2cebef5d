//! How fast a relay gets rid of a backlog, and how long a single event takes, each beside a raw producer.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use ficus_events::{NewEvent, Relay, Waker, append};
use ficus_process::Shutdown;
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};
use tokio::task::JoinHandle;

use super::figure::{Better, Figure, Opponent};
use super::raw::Raw;
use super::rounds::in_turns;
use super::run::Ground;
use crate::servers::postgres;
use crate::tour::nearest_rank;

const EVENTS: i32 = 200_000;
const KEYS: i32 = 1_000;
const PAYLOAD: usize = 200;
/// Single events, one after the other.
const SINGLE: usize = 1_000;
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks at the relay's row, which must not take the processor from the contenders.
const LOOK: Duration = Duration::from_millis(1);
const TOPIC: &str = "bench.v1";

pub async fn measure(ground: &Ground) -> Result<Vec<Figure>> {
    let stack = ground.fresh(&["postgres-monolith", "postgres-services", "kafka"]).await?;
    let mut server = PgConnection::connect(stack.database("notifications")?).await?;
    server.execute("CREATE DATABASE bench").await?;
    let pool = PgPool::connect(&postgres::url(8262, "bench")).await?;
    ficus_events::MIGRATOR.run(&pool).await?;
    let raw = Raw::connect(&stack.brokers)?;
    let relays = Relays { pool, brokers: stack.brokers.clone() };

    let keys: Vec<String> = (0..EVENTS).map(|number| format!("key-{}", number % KEYS)).collect();
    // The topic is there before anybody's turn.
    relays.backlog("warm").await?;
    let mut turns = 0;
    let measured = in_turns::<2>(ground.rounds, async |turn| {
        turns += 1;
        let took = match turn {
            0 => relays.backlog(&format!("bench-{turns}")).await?,
            _ => raw.send(TOPIC, &keys, &[7; PAYLOAD]).await?,
        };
        Ok(f64::from(EVENTS) / took.as_secs_f64())
    });
    let note = format!(
        "{EVENTS} events of {PAYLOAD} bytes and {KEYS} keys, already in the outbox, until the relay has noted the \
         broker's last acknowledgement; the raw producer has them in memory; both acks=all and idempotent"
    );
    let compared = measured.await?.beside(1);
    let opponent = "raw producer";
    let backlog = Figure::beside("relay.backlog", "events/s", Better::Higher, opponent, &compared);
    let mut figures = vec![backlog.noting(note)];
    figures.extend(single(&relays, &raw).await?);
    Ok(figures)
}

/// Events one by one: from the commit until the relay has noted the acknowledgement, and the producer alone.
async fn single(relays: &Relays, raw: &Raw) -> Result<Vec<Figure>> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let running = relays.start("single");
    let mut database = relays.pool.acquire().await?;
    let key = ["key-1".to_owned()];
    for number in 0..SINGLE {
        theirs.push(milliseconds(raw.send(TOPIC, &key, &[7; PAYLOAD]).await?));
        let event = NewEvent {
            capability: "single",
            topic: TOPIC,
            key: key[0].clone(),
            version: i64::try_from(number)? + 1,
            kind: "trellis.events.v1.Bench",
            payload: vec![7; PAYLOAD],
        };
        let mut tx = database.begin().await?;
        append(&mut tx, &event).await?;
        let xid: String =
            sqlx::query_scalar("SELECT pg_current_xact_id()::text").fetch_one(&mut *tx).await?;
        tx.commit().await?;
        let committed = Instant::now();
        running.waker.wake();
        acknowledged(&mut database, "single", &xid, committed).await?;
        ours.push(milliseconds(committed.elapsed()));
    }
    running.stop().await;
    ours.sort_by(f64::total_cmp);
    theirs.sort_by(f64::total_cmp);
    let figure = |name: &str, percent| {
        let [ours, theirs] =
            [&ours, &theirs].map(|times| nearest_rank(times, percent).unwrap_or_default());
        let opponent = Opponent { name: "raw producer", value: theirs };
        let ratio = Some(ours / theirs);
        Figure { opponent: Some(opponent), ratio, ..Figure::alone(name, "ms", SINGLE, ours) }
    };
    let note = "from the commit until the relay has noted the acknowledgement, which is asked for every millisecond; \
                one event at a time; the producer: from its call to the acknowledgement";
    Ok(vec![figure("relay.single.p50", 50).noting(note), figure("relay.single.p99", 99)])
}

struct Relays {
    pool: PgPool,
    brokers: String,
}

/// A relay that works.
struct Running {
    waker: Waker,
    shutdown: Shutdown,
    task: JoinHandle<()>,
}

impl Relays {
    fn start(&self, capability: &str) -> Running {
        let relay =
            Relay::new(&self.pool.clone().into(), self.brokers.as_str(), capability, "bench");
        let (waker, shutdown) = (relay.waker(), Shutdown::new());
        let task = tokio::spawn(relay.run(shutdown.clone()));
        Running { waker, shutdown, task }
    }

    /// How long a relay takes for a backlog, from when it starts.
    async fn backlog(&self, capability: &str) -> Result<Duration> {
        let mut database = self.pool.acquire().await?;
        database.execute("TRUNCATE ficus.outbox").await?;
        let mut tx = database.begin().await?;
        let statement = "
            INSERT INTO ficus.outbox (capability, topic, key, version, type, payload)
            SELECT $1, $2, 'key-' || n % $4, n, 'trellis.events.v1.Bench', decode(repeat('07', $5), 'hex')
            FROM generate_series(0, $3 - 1) AS n";
        sqlx::query(statement)
            .bind(capability)
            .bind(TOPIC)
            .bind(EVENTS)
            .bind(KEYS)
            .bind(i32::try_from(PAYLOAD)?)
            .execute(&mut *tx)
            .await?;
        let xid: String =
            sqlx::query_scalar("SELECT pg_current_xact_id()::text").fetch_one(&mut *tx).await?;
        tx.commit().await?;
        database.execute("VACUUM ANALYZE ficus.outbox").await?;
        let begun = Instant::now();
        let running = self.start(capability);
        acknowledged(&mut database, capability, &xid, begun).await?;
        let took = begun.elapsed();
        running.stop().await;
        Ok(took)
    }
}

impl Running {
    async fn stop(self) {
        self.shutdown.request();
        // It ends once its lease is given back; an error of its own it has logged.
        let _ = self.task.await;
    }
}

/// Waits until the relay has noted that the broker has everything of a transaction.
async fn acknowledged(
    database: &mut PgConnection,
    capability: &str,
    xid: &str,
    begun: Instant,
) -> Result<()> {
    let statement = "SELECT EXISTS (
        SELECT FROM ficus.relay
        WHERE capability = $1 AND round_snap IS NULL AND pg_visible_in_snapshot($2::xid8, snap))";
    while !sqlx::query_scalar::<_, bool>(statement)
        .bind(capability)
        .bind(xid)
        .fetch_one(&mut *database)
        .await?
    {
        ensure!(begun.elapsed() < PATIENCE, "the relay of {capability} does not come to an end");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}
