//! A batch that the fence refuses waits, and no switch waits for long.

use std::time::Duration;

use ficus_events::{Kafka, dead_letters};
use ficus_owners::{Side, View};
use trellis_testkit::kafka;
use uuid::Uuid;

use crate::bench::{Bench, CAPABILITY, owned_by, owners};

#[tokio::test]
async fn a_fenced_batch_is_applied_when_the_fence_opens() {
    let mut bench = Bench::new().await;
    bench.run("ALTER TABLE applied ENABLE ALWAYS TRIGGER fence").await;
    bench.start_relay("relay");
    bench.start_consumer(&owners(Side::Monolith), Side::Monolith);
    for _ in 0..5 {
        bench.write_one("book", b"").await;
    }
    bench.wait_for_relay().await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert_eq!(bench.number("SELECT count(*) FROM inbox").await, 0);

    bench.run("ALTER TABLE applied DISABLE TRIGGER fence").await;
    assert_eq!(bench.wait_for_applied(5).await.len(), 5);
    let topic = format!("{}.dlq", bench.topic);
    let timeout = Duration::from_secs(10);
    let letters = dead_letters::list(&Kafka::from(kafka()), Some(&topic), timeout).await.unwrap();
    assert!(letters.is_empty());
    assert_eq!(bench.number("SELECT count(*) FROM parked").await, 0);
    bench.stop().await;
}

#[tokio::test]
async fn nothing_is_applied_while_a_switch_is_pending() {
    let mut bench = Bench::new().await;
    let owners = owners(Side::Monolith);
    bench.start_relay("relay");
    bench.start_consumer(&owners, Side::Monolith);
    bench.write_one("book", b"").await;
    bench.wait_for_applied(1).await;

    let pending = View { pending: Some(Uuid::from_u128(1)), ..owned_by(Side::Monolith, 1) };
    owners.set(CAPABILITY, pending);
    bench.write_one("book", b"").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(bench.applied().await.len(), 1);
    owners.set(CAPABILITY, owned_by(Side::Monolith, 1));
    bench.wait_for_applied(2).await;
    bench.stop().await;
}
