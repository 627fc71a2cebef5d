//! Nothing is skipped, nothing is applied twice, and every key's versions are applied in order.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use ficus_events::lag;
use ficus_owners::{Owners, Side};
use ficus_pg::Pool;
use ficus_process::trace;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use tokio::task::JoinSet;
use tracing::Instrument as _;
use trellis_testkit::{noticed, setting};

use crate::{
    bench::{Bench, CAPABILITY, PATIENCE, owned_by, owners},
    broker::Broker,
};

const WRITERS: usize = 8;
/// Each written by all writers.
const BOOKS: usize = 400;
/// Of one transaction; the first is the writer's own.
const EVENTS_EACH: usize = 9;

/// `FICUS_EVENTS=1000000` for a run by hand.
fn events_wanted() -> usize {
    usize::try_from(setting("FICUS_EVENTS", 100_000)).unwrap()
}

/// Begins early, which gives its transactions low numbers, and commits late, so that lower ids become visible
/// after higher ones; sometimes it does not commit at all. Returns how many events it has committed.
async fn writer(bench: Arc<Bench>, pool: Pool, number: usize, seed: u64) -> usize {
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
    let mut committed = 0;
    while committed < events_wanted() / WRITERS {
        let mut tx = pool.begin().await.unwrap();
        bench.write(&mut tx, &format!("own-{number}"), b"").await;
        tokio::time::sleep(Duration::from_micros(random.random_range(0..4_000))).await;
        // In one order for all, so that they wait for each other without a deadlock.
        let books: BTreeSet<usize> =
            (1..EVENTS_EACH).map(|_| random.random_range(0..BOOKS)).collect();
        for book in &books {
            bench.write(&mut tx, &format!("book-{book}"), b"").await;
        }
        tokio::time::sleep(Duration::from_micros(random.random_range(0..4_000))).await;
        if random.random_range(0..10) > 0 {
            tx.commit().await.unwrap();
            committed += 1 + books.len();
        }
    }
    committed
}

pub fn assert_in_order(applied: &[(String, i64)]) {
    let mut last: HashMap<&str, i64> = HashMap::new();
    for (key, version) in applied {
        let before = last.insert(key, *version).unwrap_or(0);
        assert_eq!(*version, before + 1, "{key} went from {before} to {version}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_writers_who_commit_late_lose_nothing_and_keep_every_keys_order() {
    let mut broker = Broker::start().await;
    let mut bench = Bench::at(broker.address()).await;
    bench.start_relay("relay-1");
    bench.start_relay("relay-2");
    let owners = owners(Side::Monolith);
    bench.start_consumer(&owners, Side::Monolith);
    let mut beside = JoinSet::new();
    beside.spawn(say_again(owners));

    let seed = setting("FICUS_SEED", u64::from(std::process::id()));
    eprintln!("FICUS_SEED={seed} writes the same again");
    let begun = Instant::now();
    let shared = Arc::new(bench);
    let pool = shared.database.pool().await;
    // Ended with the test, and with them what they hold.
    let mut writers: JoinSet<usize> = (0..WRITERS)
        .map(|number| writer(Arc::clone(&shared), pool.clone(), number, seed))
        .collect();
    have_been_applied(&shared, events_wanted() / 4).await;
    broker.restart().await;
    have_been_applied(&shared, events_wanted() / 2).await;
    // As after a crash between the delivery report and the advance: the other one leads, and sends again.
    shared.run("UPDATE ficus.relay SET token = token + 1, expires_at = '-infinity'").await;
    let mut committed = 0;
    while let Some(writer) = writers.join_next().await {
        committed += writer.unwrap();
    }
    let written = begun.elapsed();
    let mut bench = Arc::into_inner(shared).unwrap();
    while bench.number(APPLIED).await < i64::try_from(committed).unwrap() {
        assert_goes_on(&bench).await;
        assert!(begun.elapsed() < written * 3 + PATIENCE, "not all of {committed} are applied");
    }
    eprintln!("{committed} events written in {written:?}, applied in {:?}", begun.elapsed());
    bench.wait_for_relay().await;
    let applied = bench.applied().await;
    assert_eq!(applied.len(), committed);
    assert_in_order(&applied);
    bench.stop().await;
}

/// As a control database does: a consumer that was replaced waits for its next word.
async fn say_again(owners: Owners) {
    loop {
        owners.set(CAPABILITY, owned_by(Side::Monolith, 1));
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

const APPLIED: &str = "SELECT count(*) FROM applied";

async fn have_been_applied(bench: &Bench, events: usize) {
    let events = i64::try_from(events).unwrap();
    let (mut applied, mut since) = (0, Instant::now());
    while applied < events {
        assert_goes_on(bench).await;
        let now = bench.number(APPLIED).await;
        if now > applied {
            (applied, since) = (now, Instant::now());
        }
        assert!(since.elapsed() < PATIENCE, "no more than {applied} of {events} are applied");
    }
}

/// A relay stops on a version that goes back.
async fn assert_goes_on(bench: &Bench) {
    let stopped = lag(&bench.pool, CAPABILITY).await.unwrap().stopped;
    assert_eq!(stopped, None, "the relay has stopped");
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn the_order_of_transactions_instead_of_ids_is_noticed() {
    let test = "order::eight_writers_who_commit_late_lose_nothing_and_keep_every_keys_order";
    let said = ["the relay has stopped", "went from"];
    let noticing = move || noticed("relay-by-xid", test, &said);
    tokio::task::spawn_blocking(noticing).await.unwrap();
}

#[tokio::test]
async fn what_the_relay_sends_again_is_applied_once() {
    let mut bench = Bench::new().await;
    bench.start_relay("relay");
    bench.start_consumer(&owners(Side::Monolith), Side::Monolith);
    for _ in 0..20 {
        bench.write_one("book", b"").await;
    }
    bench.wait_for_applied(20).await;
    bench.wait_for_relay().await;

    // As for the next leader after a crash between the delivery report and the advance.
    let crash = "UPDATE ficus.relay SET snap = '1:1:', token = token + 1, expires_at = '-infinity'";
    bench.run(crash).await;
    bench.wait_for_relay().await;
    bench.write_one("book", b"").await;
    let applied = bench.wait_for_applied(21).await;
    assert_eq!(applied.len(), 21);
    assert_in_order(&applied);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_new_owner_takes_the_partitions_over_at_once() {
    let mut bench = Bench::new().await;
    let (monolith, service) = (owners(Side::Monolith), owners(Side::Monolith));
    bench.start_relay("relay");
    bench.start_consumer(&monolith, Side::Monolith);
    bench.start_consumer(&service, Side::Service);
    bench.write_one("book", b"").await;
    bench.wait_for_applied(1).await;

    // The old owner has not heard of it yet: the broker tells it.
    service.set(CAPABILITY, owned_by(Side::Service, 2));
    let switched = std::time::Instant::now();
    for _ in 0..10 {
        bench.write_one("book", b"").await;
    }
    let applied = bench.wait_for_applied(11).await;
    monolith.set(CAPABILITY, owned_by(Side::Service, 2));
    bench.write_one("book", b"").await;
    assert_in_order(&bench.wait_for_applied(12).await);
    assert_eq!(applied.len(), 11);
    eprintln!("taken over after {:?}", switched.elapsed());
    let late = "SELECT count(*) FROM applied WHERE side = 'service' AND version = 12";
    assert_eq!(bench.number(late).await, 1);
    bench.stop().await;
}

#[tokio::test]
async fn the_trace_goes_all_the_way() {
    let mut bench = Bench::new().await;
    bench.start_relay("relay");
    bench.start_consumer(&owners(Side::Monolith), Side::Monolith);
    ficus_process::trace_only();
    let span = tracing::info_span!("write");
    let traceparent = trace::traceparent(&span).unwrap();
    bench.write_one("book", b"").instrument(span).await;
    bench.wait_for_applied(1).await;
    let arrived: Option<String> =
        sqlx::query_scalar("SELECT traceparent FROM applied").fetch_one(&bench.pool).await.unwrap();
    let (arrived, trace_id) = (arrived.unwrap(), 3..35);
    assert_eq!(arrived[trace_id.clone()], traceparent[trace_id]);
    bench.stop().await;
}

/// What a switch waits for is the transaction of a batch.
#[tokio::test]
async fn a_transaction_applies_a_hundred_events_at_most() {
    let mut bench = Bench::new().await;
    let mut tx = bench.pool.begin().await.unwrap();
    for book in 0..350 {
        bench.write(&mut tx, &format!("book-{book}"), b"").await;
    }
    tx.commit().await.unwrap();
    bench.start_relay("relay");
    bench.wait_for_relay().await;
    bench.start_consumer(&owners(Side::Monolith), Side::Monolith);
    bench.wait_for_applied(350).await;
    let together = "SELECT count(*) FROM applied GROUP BY xmin::text ORDER BY 1 DESC LIMIT 1";
    let together = bench.number(together).await;
    assert!((2..=100).contains(&together), "{together} at most were applied together");
    bench.stop().await;
}
