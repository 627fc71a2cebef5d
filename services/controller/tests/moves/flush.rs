//! The source's server crashes right after writers rolled back. Their transactions' ids were not flushed, so
//! PostgreSQL gives them out again; a follower that remembers having seen them would skip what they write then.

use std::time::Duration;

use ficus_pg::Pool;
use sqlx::AssertSqlSafe;
use trellis_testkit::{Killable, Server, noticed, wait_until};

use crate::shop::{Shop, done, verb};

const CRASHES: usize = 3;
/// Transactions of each kind around a crash; more acknowledged ones, so that all ids are given out again.
const ROLLED_BACK: usize = 50;
const ACKNOWLEDGED: usize = 60;

/// Where the source's orders are, and where the follower's cursor is.
struct Sides<'a> {
    source: &'a Pool,
    target: &'a Pool,
    insert: &'static str,
}

impl Sides<'_> {
    /// Writers that change their mind; the last one's transaction id.
    async fn roll_back(&self) -> String {
        let mut last = None;
        for _ in 0..ROLLED_BACK {
            let mut transaction = self.source.begin().await.unwrap();
            sqlx::query(self.insert).bind("nobody").execute(&mut *transaction).await.unwrap();
            let id = sqlx::query_scalar("SELECT pg_current_xact_id()::text");
            last = Some(id.fetch_one(&mut *transaction).await.unwrap());
            transaction.rollback().await.unwrap();
        }
        last.unwrap()
    }

    /// Waits until the stored cursor has seen that transaction end.
    async fn until_passed(&self, transaction: &str) {
        let passed = format!(
            "SELECT bool_or(pg_visible_in_snapshot('{transaction}'::xid8, snap))
             FROM ficus.cursor WHERE NOT closed"
        );
        wait_until("the cursor is to pass the rollbacks", Duration::from_secs(30), async || {
            let passed = sqlx::query_scalar(AssertSqlSafe(passed.clone()));
            passed.fetch_one(self.target).await.unwrap()
        })
        .await;
    }

    async fn acknowledge(&self, crash: usize) -> Vec<String> {
        let mut customers = Vec::new();
        for order in 0..ACKNOWLEDGED {
            let customer = format!("crash {crash} order {order}");
            sqlx::query(self.insert).bind(&customer).execute(self.source).await.unwrap();
            customers.push(customer);
        }
        customers
    }
}

/// Has the owner's server crash several times; the other side must come to have every acknowledged order.
async fn crashes(shop: &mut Shop, killable: &Killable, forward: bool) {
    let (monolith, service) = (shop.monolith.clone(), shop.service.clone());
    let sides = if forward {
        let insert = "INSERT INTO orders (customer, total) VALUES ($1, 7)";
        Sides { source: &monolith, target: &service, insert }
    } else {
        let insert = "INSERT INTO purchases (buyer, total) VALUES ($1, 7)";
        Sides { source: &service, target: &monolith, insert }
    };
    let mut acknowledged = Vec::new();
    for crash in 0..CRASHES {
        let last = sides.roll_back().await;
        sides.until_passed(&last).await;
        killable.crash().await;
        acknowledged.extend(sides.acknowledge(crash).await);
    }
    let mut skipped = acknowledged.len();
    let arrived = async {
        while skipped > 0 {
            let customers = shop.customers(forward).await;
            skipped = acknowledged.iter().filter(|c| customers.get(*c) != Some(&1)).count();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let arrived = tokio::time::timeout(Duration::from_secs(10), arrived).await;
    assert!(arrived.is_ok(), "{skipped} of {} orders were skipped", acknowledged.len());
}

/// Compares, switches, and finds both sides equal.
async fn switch(shop: &mut Shop, forward: bool) {
    let mut moves = shop.leader().await;
    done(&moves.vdiff(verb()).await.unwrap().into_inner());
    done(&shop.switch(forward).await.unwrap());
    shop.until_equal(Duration::from_secs(30)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_monoliths_server_after_rollbacks_skips_no_write() {
    let killable = Killable::take().await;
    let mut shop = Shop::on([Server::Killable, Server::Second]).await;
    shop.controller("").await;
    shop.verified().await;
    crashes(&mut shop, &killable, true).await;
    switch(&mut shop, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_of_the_services_server_after_rollbacks_skips_no_write() {
    let killable = Killable::take().await;
    let mut shop = Shop::on([Server::First, Server::Killable]).await;
    shop.controller("").await;
    shop.verified().await;
    switch(&mut shop, true).await;
    crashes(&mut shop, &killable, false).await;
    switch(&mut shop, false).await;
}

#[test]
fn a_snapshot_that_is_stored_before_the_log_is_flushed_is_noticed() {
    let test = "flush::a_crash_of_the_monoliths_server_after_rollbacks_skips_no_write";
    // Where fewer transactions have come since than the crash took away, the follower stops by itself.
    noticed("flush-off", test, &["orders were skipped", "restored to an earlier point"]);
}
