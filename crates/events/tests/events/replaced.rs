//! A consumer whose place was taken comes back on a younger word from the control database only.

use std::time::Duration;

use ficus_owners::Side;
use trellis_testkit::wait_until;

use crate::bench::{Bench, CAPABILITY, PATIENCE, owned_by, owners};

/// Writes an event and answers whose consumer has applied it.
async fn applier(bench: &Bench) -> String {
    let before = bench.applied().await.len();
    bench.write_one("book", b"").await;
    bench.wait_for_applied(before + 1).await;
    let last = sqlx::query_scalar("SELECT side FROM applied ORDER BY id DESC LIMIT 1");
    last.fetch_one(&bench.pool).await.unwrap()
}

/// A side that is cut off from the control database believes for ever that it is the owner.
#[tokio::test]
async fn a_replaced_consumer_stays_away_until_it_has_heard_anew_that_it_is_the_owner() {
    let mut bench = Bench::new().await;
    let cut_off = owners(Side::Monolith);
    bench.start_relay("relay");
    bench.start_consumer(&cut_off, Side::Monolith);
    assert_eq!(applier(&bench).await, "monolith");

    bench.start_consumer(&owners(Side::Service), Side::Service);
    wait_until("the service is to take over", PATIENCE, async || {
        applier(&bench).await == "service"
    })
    .await;
    let mut late = 0;
    for _ in 0..30 {
        late += usize::from(applier(&bench).await == "monolith");
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    // Its next commit tells the replaced consumer, so one event more may be its.
    assert!(late <= 1, "the monolith has applied {late} events after the takeover");

    wait_until("the monolith is to come back", PATIENCE, async || {
        cut_off.set(CAPABILITY, owned_by(Side::Monolith, 1));
        applier(&bench).await == "monolith"
    })
    .await;
    bench.stop().await;
}
