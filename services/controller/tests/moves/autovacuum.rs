//! Autovacuums that would run for a minute are at work on the source and on the target when a switch begins.

use std::time::Duration;

use ficus_pg::Pool;
use sqlx::Executor;
use trellis_testkit::{Killable, Server, wait_until};

use crate::shop::{CAPABILITY, Shop, Writers, done, verb};

/// A page of a table takes an autovacuum hundreds of milliseconds; it begins with the first dead row.
const SLOW: &str = "SET (autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
                         autovacuum_vacuum_insert_threshold = -1, autovacuum_vacuum_cost_delay = 100,
                         autovacuum_vacuum_cost_limit = 1)";
/// Dead rows on every page.
const UPDATES: [&str; 2] = [
    "UPDATE orders SET total = total + 1 WHERE id % 40 = 0",
    "UPDATE purchases SET total = total + 1 WHERE purchase_id % 40 = 0",
];

/// The processes that vacuum orders or purchases in this database by themselves.
async fn vacuuming(pool: &Pool) -> Vec<i32> {
    sqlx::query_scalar(
        "SELECT pid FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type = 'autovacuum worker'
           AND query ~ '^autovacuum: VACUUM .*public\\.(orders|purchases)$'",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

/// A switch that is held up before its fence until autovacuums run on both sides. They must have yielded.
async fn switched_while_vacuumed(shop: &mut Shop, forward: bool) {
    done(&shop.leader().await.vdiff(verb()).await.unwrap().into_inner());
    let control = shop.databases[2].pool().await;
    // A picker that is late is waited for, after the mover itself has vacuumed the target.
    let late = "INSERT INTO picker (picker, capability, role, epoch, heard_at)
                VALUES ('late', $1, 'client', 0, clock_timestamp())";
    sqlx::query(late).bind(CAPABILITY).execute(&control).await.unwrap();
    let (monolith, service) = (shop.monolith.clone(), shop.service.clone());
    let vacuumed = async {
        let waits = "SELECT EXISTS (SELECT FROM journal WHERE text LIKE 'waiting for %'
                                      AND at > clock_timestamp() - interval '40 s'
                                      AND epoch = (SELECT epoch FROM move))";
        wait_until("the switch is to wait for the late one", Duration::from_secs(35), async || {
            sqlx::query_scalar(waits).fetch_one(&control).await.unwrap()
        })
        .await;
        let (owner, update) =
            if forward { (&monolith, UPDATES[0]) } else { (&service, UPDATES[1]) };
        owner.execute(update).await.unwrap();
        let mut found = Vec::new();
        wait_until("both sides are to be vacuumed", Duration::from_secs(35), async || {
            found = vec![vacuuming(&monolith).await, vacuuming(&service).await];
            found.iter().all(|side| !side.is_empty())
        })
        .await;
        control.execute("DELETE FROM picker WHERE picker = 'late'").await.unwrap();
        found
    };
    let (outcome, vacuumed) = tokio::join!(shop.switch(forward), vacuumed);
    let outcome = outcome.unwrap();
    let still = [vacuuming(&monolith).await, vacuuming(&service).await];
    done(&outcome);
    let switched = outcome.switch.as_ref().unwrap();
    println!("forward {forward}: tries {}, pause {} ms", switched.tries, switched.pause_ms);
    // A machine without a turn for it is no autovacuum that does not yield.
    let mut failed = outcome.lines.iter().filter(|line| line.starts_with("try "));
    assert!(failed.all(|line| line.contains("1,000 ms")), "{:?}", outcome.lines);
    for (before, after) in vacuumed.iter().zip(still) {
        assert!(before.iter().all(|pid| !after.contains(pid)), "{before:?} did not yield");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn autovacuums_on_both_sides_yield_to_a_switch() {
    let killable = Killable::take().await;
    killable.set("autovacuum", "on").await;
    killable.set("autovacuum_naptime", "1s").await;
    let mut shop = Shop::on([Server::Killable, Server::Killable]).await;
    let seed = "INSERT INTO orders (customer, total) SELECT 'more ' || n, n FROM generate_series(1, 20000) AS n";
    shop.monolith.execute(seed).await.unwrap();
    for (pool, table) in [(&shop.monolith, "orders"), (&shop.service, "purchases")] {
        let slow = format!("ALTER TABLE {table} {SLOW}");
        pool.execute(sqlx::AssertSqlSafe(slow)).await.unwrap();
    }
    shop.controller("").await;
    let writers = Writers::start(&shop, 2).await;
    shop.verified().await;
    for forward in [true, false] {
        switched_while_vacuumed(&mut shop, forward).await;
    }
    let acknowledged = writers.stop().await;
    shop.until_equal(Duration::from_secs(30)).await;
    let customers = shop.customers(false).await;
    assert!(acknowledged.iter().all(|customer| customers.get(customer) == Some(&1)));
    assert_eq!(customers.len(), acknowledged.len() + 20_500);
}
