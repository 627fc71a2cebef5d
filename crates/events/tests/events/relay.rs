//! Who may publish, and when a relay stops.

use std::time::{Duration, Instant};

use ficus_events::lag;
use sqlx::Connection as _;
use trellis_testkit::wait_until;

use crate::bench::{Bench, CAPABILITY, PATIENCE};

const TOKEN: &str = "SELECT token FROM ficus.relay";

#[tokio::test]
async fn a_new_relay_sends_what_was_appended_before_it() {
    let mut bench = Bench::new().await;
    bench.write_one("book", b"").await;
    let before = lag(&bench.pool, CAPABILITY).await.unwrap();
    assert_eq!((before.events, before.held, before.stopped), (1, false, None));
    bench.start_relay("relay");
    bench.wait_for_relay().await;
    bench.stop().await;
}

#[tokio::test]
async fn a_relay_whose_token_was_raised_advances_nothing() {
    let mut bench = Bench::new().await;
    bench.start_relay("old");
    bench.write_one("book", b"").await;
    bench.wait_for_relay().await;
    let seized = "UPDATE ficus.relay SET token = token + 1, holder = 'new',
                  expires_at = clock_timestamp() + interval '3 seconds'";
    bench.run(seized).await;
    let token = bench.number(TOKEN).await;
    bench.write_one("book", b"").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(lag(&bench.pool, CAPABILITY).await.unwrap().events, 1);
    // It comes back as any other: when the lease is over, with a token of its own.
    bench.wait_for_relay().await;
    assert_eq!(bench.number(TOKEN).await, token + 1);
    bench.stop().await;
}

#[tokio::test]
async fn a_relay_that_shuts_down_leaves_the_lease_to_the_next_at_once() {
    let mut bench = Bench::new().await;
    bench.start_relay("first");
    wait_until("it is to lead", PATIENCE, async || {
        bench.number("SELECT count(*) FROM ficus.relay WHERE holder = 'first'").await == 1
    })
    .await;
    bench.stop().await;
    let held = "SELECT count(*) FROM ficus.relay WHERE expires_at > clock_timestamp()";
    assert_eq!(bench.number(held).await, 0);
}

#[tokio::test]
async fn a_relay_leads_on_and_publishes_while_requests_have_every_connection() {
    let mut bench = Bench::new().await;
    bench.start_relay("relay");
    bench.write_one("book", b"").await;
    bench.wait_for_relay().await;
    let token = bench.number(TOKEN).await;
    let mut busy = Vec::new();
    while busy.len() < bench.pool.options().get_max_connections() as usize {
        busy.push(bench.pool.acquire().await.unwrap());
    }
    // What a request does that has one of them.
    let request = &mut busy[0];
    let mut tx = request.begin().await.unwrap();
    bench.write(&mut tx, "book", b"").await;
    tx.commit().await.unwrap();
    let until = "SELECT extract(epoch FROM expires_at)::float8 FROM ficus.relay";
    let first: f64 = sqlx::query_scalar(until).fetch_one(&mut **request).await.unwrap();
    let request = tokio::sync::Mutex::new(request);
    wait_until("the lease is to be renewed beyond its length twice", PATIENCE, async || {
        let mut request = request.lock().await;
        let now: f64 = sqlx::query_scalar(until).fetch_one(&mut ***request).await.unwrap();
        now > first + 3.0
    })
    .await;
    let request = request.into_inner();
    let held: i64 = sqlx::query_scalar(TOKEN).fetch_one(&mut **request).await.unwrap();
    assert_eq!(held, token);
    let left = "SELECT events FROM ficus.relay_lag($1)";
    let left = sqlx::query_scalar::<_, i64>(left).bind(CAPABILITY);
    assert_eq!(left.fetch_one(&mut **request).await.unwrap(), 0);
    bench.stop().await;
}

#[tokio::test]
async fn a_held_relay_reads_nothing() {
    let mut bench = Bench::new().await;
    bench.start_relay("relay");
    bench.write_one("book", b"").await;
    bench.wait_for_relay().await;
    bench.run("UPDATE ficus.relay SET held = true").await;
    bench.write_one("book", b"").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let held = lag(&bench.pool, CAPABILITY).await.unwrap();
    assert_eq!((held.events, held.held), (1, true));
    bench.run("UPDATE ficus.relay SET held = false").await;
    bench.wait_for_relay().await;
    bench.stop().await;
}

#[tokio::test]
async fn an_idle_relay_confirms_later_snapshots() {
    let mut bench = Bench::new().await;
    bench.start_relay("relay");
    bench.write_one("book", b"").await;
    bench.wait_for_relay().await;
    let now: String = sqlx::query_scalar("SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
        .fetch_one(&bench.pool)
        .await
        .unwrap();
    wait_until("the relay is to confirm that there is nothing", PATIENCE, async || {
        sqlx::query_scalar("SELECT pg_snapshot_xmax(snap) >= $1::text::xid8 FROM ficus.relay")
            .bind(&now)
            .fetch_one(&bench.pool)
            .await
            .unwrap()
    })
    .await;
    bench.stop().await;
}

#[tokio::test]
async fn events_that_come_one_upon_another_leave_together() {
    let mut bench = Bench::new().await;
    let waker = bench.start_relay("relay");
    bench.write_one("book", b"").await;
    bench.wait_for_relay().await;
    let count = "CREATE SEQUENCE rounds;
        CREATE FUNCTION count_round() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM nextval('rounds');
            RETURN NEW;
        END $$;
        CREATE TRIGGER count AFTER UPDATE OF snap ON ficus.relay FOR EACH ROW EXECUTE FUNCTION count_round()";
    bench.run(count).await;
    let begun = Instant::now();
    for _ in 0..300 {
        let mut tx = bench.pool.begin().await.unwrap();
        bench.write(&mut tx, "one book", b"").await;
        bench.write(&mut tx, "another", b"").await;
        tx.commit().await.unwrap();
        waker.wake();
    }
    bench.wait_for_relay().await;
    let rounds = bench.number("SELECT last_value FROM rounds").await;
    // A round of several events takes 10 ms or more; half a second without any is one more, and so is the first.
    let most = begun.elapsed().as_millis() / 10 + begun.elapsed().as_millis() / 500 + 2;
    assert!(u128::try_from(rounds).unwrap() <= most, "{rounds} rounds in {:?}", begun.elapsed());
    bench.stop().await;
}

async fn assert_stops(bench: &Bench, reason: &str) {
    wait_until("the relay is to stop", PATIENCE, async || {
        let stopped = lag(&bench.pool, CAPABILITY).await.unwrap().stopped;
        stopped.is_some_and(|why| why.contains(reason))
    })
    .await;
    assert_eq!(lag(&bench.pool, CAPABILITY).await.unwrap().events, 1);
}

#[tokio::test]
async fn a_relay_stops_on_another_timeline() {
    let mut bench = Bench::new().await;
    bench.start_relay("relay");
    bench.write_one("book", b"").await;
    bench.wait_for_relay().await;
    bench.run("UPDATE ficus.relay SET timeline = timeline + 1").await;
    bench.write_one("book", b"").await;
    assert_stops(&bench, "timeline").await;
    bench.stop().await;
}

#[tokio::test]
async fn a_relay_stops_on_a_version_that_goes_back() {
    let mut bench = Bench::new().await;
    bench.start_relay("relay");
    for _ in 0..3 {
        bench.write_one("book", b"").await;
    }
    bench.wait_for_relay().await;
    bench.run("UPDATE books SET version = 1").await;
    bench.write_one("book", b"").await;
    assert_stops(&bench, "goes back from 3 to 2").await;
    bench.stop().await;
}
