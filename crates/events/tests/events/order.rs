//! Nothing is skipped, nothing is applied twice, and every key's versions are applied in order.

use std::{collections::HashMap, sync::Arc, time::Duration};

use ficus_owners::Side;
use ficus_process::{random, trace};
use tracing::Instrument as _;

use crate::bench::{Bench, CAPABILITY, owned_by, owners};

const WRITERS: usize = 8;
const BOOKS: usize = 40;

/// Commits late, so that lower ids become visible after higher ones, and sometimes not at all. Returns
/// how many events it has committed.
async fn writer(bench: Arc<Bench>, transactions: usize) -> usize {
    let mut committed = 0;
    for _ in 0..transactions {
        let mut tx = bench.pool.begin().await.unwrap();
        let book = below(BOOKS);
        bench.write(&mut tx, &format!("book-{book}"), b"").await;
        bench.write(&mut tx, &format!("book-{book}"), b"").await;
        tokio::time::sleep(Duration::from_micros(below(8_000) as u64)).await;
        if below(10) > 0 {
            tx.commit().await.unwrap();
            committed += 2;
        }
    }
    committed
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "small"
)]
fn below(end: usize) -> usize {
    (random::unit() * end as f64) as usize
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
    let mut bench = Bench::new().await;
    bench.start_relay("relay-1");
    bench.start_relay("relay-2");
    bench.start_consumer(&owners(Side::Monolith), Side::Monolith);

    let shared = Arc::new(bench);
    let writers: Vec<_> =
        (0..WRITERS).map(|_| tokio::spawn(writer(Arc::clone(&shared), 280))).collect();
    let mut committed = 0;
    for writer in writers {
        committed += writer.await.unwrap();
    }
    let mut bench = Arc::into_inner(shared).unwrap();
    let applied = bench.wait_for_applied(committed).await;
    bench.wait_for_relay().await;
    assert_eq!(applied.len(), committed);
    assert!(committed > 3_500, "{committed}");
    assert_in_order(&applied);
    bench.stop().await;
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
