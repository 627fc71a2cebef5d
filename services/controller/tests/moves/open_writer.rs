//! Transactions that are open when a switch comes, and writers that take the tables in either order.

use std::time::Duration;

use ficus_control_api::control::v1::{Outcome, SwitchRequest};
use ficus_owners::{Owners, Role, Side};
use ficus_pg::Pool;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::task::JoinHandle;
use tonic::Status;
use trellis_testkit::wait_until;

use crate::{
    shop::{CAPABILITY, Shop, Writers, done, verb},
    stopped::{stopped_switching, wake},
};

/// What became of a switch.
type Switched = Result<Outcome, Status>;

/// What the tables and columns are called on one side.
struct Names {
    orders: &'static str,
    customer: &'static str,
    lines: &'static str,
    order: &'static str,
}

const MONOLITH: Names =
    Names { orders: "orders", customer: "customer", lines: "order_lines", order: "order_id" };
const SERVICE: Names =
    Names { orders: "purchases", customer: "buyer", lines: "purchase_lines", order: "purchase_id" };

impl Names {
    fn insert(&self, customer: &str) -> String {
        format!("INSERT INTO {} ({}, total) VALUES ('{customer}', 7)", self.orders, self.customer)
    }

    fn insert_line(&self) -> String {
        format!(
            "INSERT INTO {} SELECT max({}), 99, 'sku', 7 FROM {}",
            self.lines, self.order, self.lines
        )
    }
}

async fn run(session: &mut PgConnection, text: impl Into<String>) -> sqlx::Result<u64> {
    let text: String = text.into();
    Ok(sqlx::raw_sql(AssertSqlSafe(text)).execute(session).await?.rows_affected())
}

fn assert_fenced(written: sqlx::Result<u64>, what: &str) {
    let error = written.expect_err(what);
    assert!(ficus_pg::fenced(&error).is_some(), "{what}: {error}");
}

/// A controller that stops right before the fence of the switch that it is told to make.
async fn stopped_before_the_fence(shop: &mut Shop, forward: bool) -> JoinHandle<Switched> {
    shop.controllers.clear();
    shop.controller("controller.before.C1=stop").await;
    stopped_switching(shop, forward).await
}

/// Waits until the fence waits for the orders' writers and refuses lines, which nobody has taken; or the switch is over.
async fn until_the_fence_waits(owner: &Pool, names: &Names, switching: &JoinHandle<Switched>) {
    let waits = format!(
        "SELECT count(*) FROM pg_locks
         WHERE NOT granted AND mode = 'ShareRowExclusiveLock' AND relation = '{}'::regclass",
        names.orders
    );
    let touch = format!("DELETE FROM {} WHERE false", names.lines);
    wait_until("the fence is to wait for the writers", Duration::from_secs(5), async || {
        let refused = sqlx::raw_sql(AssertSqlSafe(touch.clone())).execute(owner).await.is_err();
        let waits = sqlx::query_scalar(AssertSqlSafe(waits.clone()));
        let waiting: i64 = waits.fetch_one(owner).await.unwrap();
        refused && waiting > 0 || switching.is_finished()
    })
    .await;
}

/// Whether it was switched, and the customer who was carried over: a machine that gives the fence no turn for a second
/// cuts the switch off, and one that gives its writers none for a third of it makes the fence fail.
async fn switched_with_open_writers(shop: &mut Shop, forward: bool, number: u32) -> (bool, String) {
    let (owner, names) =
        if forward { (shop.monolith.clone(), MONOLITH) } else { (shop.service.clone(), SERVICE) };
    let mut old = owner.acquire().await.unwrap();
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ";
    run(&mut old, format!("{begin}; SELECT count(*) FROM {}", names.orders)).await.unwrap();

    let switching = stopped_before_the_fence(shop, forward).await;
    let (mut carried, mut refused) =
        (owner.acquire().await.unwrap(), owner.acquire().await.unwrap());
    let customer = |what| format!("{what}, forward {forward}, try {number}");
    for (session, what) in [(&mut carried, "carried"), (&mut refused, "refused")] {
        run(session, format!("BEGIN; {}", names.insert(&customer(what)))).await.unwrap();
    }
    wake(&shop.controllers[0]);
    until_the_fence_waits(&owner, &names, &switching).await;
    let line = run(&mut refused, names.insert_line()).await;
    run(&mut refused, "ROLLBACK").await.unwrap();
    run(&mut carried, "COMMIT").await.unwrap();
    let outcome = switching.await.unwrap().unwrap();
    let failed = |line: &String| line.contains("was cut off") || line.contains("was aborted: C1");
    if outcome.lines.iter().any(failed) {
        run(&mut old, "ROLLBACK").await.unwrap();
        return (false, customer("carried"));
    }
    done(&outcome);
    assert_fenced(line, "a line after the fence");

    let late = run(&mut old, names.insert(&customer("old snapshot"))).await;
    assert_fenced(late, "a snapshot from before the switch");
    run(&mut old, "ROLLBACK").await.unwrap();
    let customers = shop.customers(forward).await;
    assert_eq!(customers.get(&customer("carried")), Some(&1));
    assert_eq!(customers.get(&customer("refused")), None);
    assert_eq!(customers.get(&customer("old snapshot")), None);
    (true, customer("carried"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_at_the_fence_is_carried_if_it_commits_and_refused_if_it_writes_on() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    let writers = Writers::start(&shop, 2).await;
    shop.verified().await;
    let mut oldest = PgConnection::connect(shop.databases[0].url()).await.unwrap();
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM orders";
    run(&mut oldest, begin).await.unwrap();

    let mut carried = Vec::new();
    for forward in [true, false] {
        for number in 1.. {
            let (switched, customer) = switched_with_open_writers(&mut shop, forward, number).await;
            carried.push(customer);
            if switched {
                break;
            }
            assert!(number < 5, "no switch within a second in five tries");
        }
    }
    // Its snapshot is from before both switches, but the monolith owns again: what it writes flows.
    run(&mut oldest, format!("{}; COMMIT", MONOLITH.insert("oldest"))).await.unwrap();
    let mut acknowledged = writers.stop().await;
    acknowledged.extend(carried);
    acknowledged.push("oldest".to_owned());
    shop.until_equal(Duration::from_secs(30)).await;
    let customers = shop.customers(false).await;
    for customer in &acknowledged {
        assert_eq!(customers.get(customer), Some(&1), "{customer}");
    }
    assert_eq!(customers.len(), acknowledged.len() + 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_held_a_table_for_too_long_is_named() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    shop.verified().await;
    for [hold, let_go, who] in [
        ["BEGIN; UPDATE orders SET total = 8 WHERE id = 1", "COMMIT", "process"],
        [
            "BEGIN; UPDATE orders SET total = 9 WHERE id = 1; PREPARE TRANSACTION 'held'",
            "COMMIT PREPARED 'held'",
            "a prepared transaction",
        ],
    ] {
        let mut holder = PgConnection::connect(shop.databases[0].url()).await.unwrap();
        run(&mut holder, hold).await.unwrap();
        let request = SwitchRequest { capability: CAPABILITY.to_owned(), dry_run: true, tries: 1 };
        let mut moves = shop.leader().await;
        let named = tokio::time::timeout(Duration::from_secs(5), async {
            let named = |line: &String| line.starts_with("orders: ") && line.contains(who);
            while !moves
                .switch_traffic(request.clone())
                .await
                .is_ok_and(|plan| plan.get_ref().refusals.iter().any(named))
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        // Before it is judged: what is prepared outlasts the test, and keeps others' logs from being pruned.
        run(&mut holder, let_go).await.unwrap();
        named.expect("the holder is to be named");
    }
    done(&shop.switch(true).await.unwrap());
    shop.until_equal(Duration::from_secs(30)).await;
}

/// Counts one order up on both tables, in an order of its own, until it is told to end; how often it was
/// acknowledged.
async fn count_up(
    owners: Owners,
    [monolith, service]: [Pool; 2],
    id: i64,
    ended: tokio::sync::watch::Receiver<bool>,
) -> i64 {
    let mut acknowledged = 0;
    while !*ended.borrow() {
        let owner = {
            let guard = owners.begin(CAPABILITY);
            guard.view().owner
        };
        let (pool, names, key) = match owner {
            Side::Monolith => (&monolith, MONOLITH, "id"),
            Side::Service => (&service, SERVICE, "purchase_id"),
        };
        let mut updates = [
            format!("UPDATE {} SET total = total + 1 WHERE {key} = {id}", names.orders),
            format!(
                "UPDATE {} SET quantity = quantity + 1 WHERE {} = {id} AND line = 1",
                names.lines, names.order
            ),
        ];
        if id % 2 == 0 {
            updates.reverse();
        }
        match write_both(pool, updates).await {
            Ok(()) => acknowledged += 1,
            Err(error) => {
                assert!(ficus_pg::fenced(&error).is_some(), "order {id}: {error}");
            }
        }
        // Without a rest eight of them take all of the machine, and the stream falls behind.
        tokio::time::sleep(Duration::from_millis(8)).await;
    }
    acknowledged
}

async fn write_both(pool: &Pool, updates: [String; 2]) -> sqlx::Result<()> {
    let mut transaction = pool.begin().await?;
    for update in updates {
        let done = sqlx::raw_sql(AssertSqlSafe(update)).execute(&mut *transaction).await?;
        assert_eq!(done.rows_affected(), 1);
    }
    transaction.commit().await
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_in_the_opposite_order_neither_stop_a_switch_nor_lose_by_it() {
    let mut shop = Shop::new().await;
    shop.controller("").await;
    let owners = shop.picker(Role::Gateway).await;
    let (end, ended) = tokio::sync::watch::channel(false);
    let writers: Vec<_> = (1..=8)
        .map(|id| {
            let pools = [shop.monolith.clone(), shop.service.clone()];
            tokio::spawn(count_up(owners.clone(), pools, id, ended.clone()))
        })
        .collect();
    shop.verified().await;
    for forward in [true, false, true, false] {
        let outcome = shop.switch(forward).await.unwrap();
        done(&outcome);
        let switched = outcome.switch.unwrap();
        println!("forward {forward}: tries {}, pause {} ms", switched.tries, switched.pause_ms);
        done(&shop.leader().await.vdiff(verb()).await.unwrap().into_inner());
    }
    end.send(true).unwrap();
    for (id, writer) in (1_i64..).zip(writers) {
        let acknowledged = writer.await.unwrap();
        assert!(acknowledged > 20, "order {id} was written {acknowledged} times only");
        let counted: (i64, i64) = sqlx::query_as(
            "SELECT total - id * 100, quantity - 1::bigint FROM orders JOIN order_lines ON order_id = id
             WHERE id = $1 AND line = 1",
        )
        .bind(id)
        .fetch_one(&shop.monolith)
        .await
        .unwrap();
        assert_eq!(counted, (acknowledged, acknowledged), "order {id}");
    }
    shop.until_equal(Duration::from_secs(30)).await;
}
