//! Writers that act as a gateway does: to the owner that `crates/owners` names; what a fence refused is
//! repeated at the new owner.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ficus_owners::{Owners, Role, Side};
use ficus_pg::Pool;
use sqlx::{Postgres, Transaction};
use tokio::task::JoinHandle;

use super::{CAPABILITY, Shop};

/// Several writers of new orders, until they are stopped.
pub struct Writers {
    owners: Owners,
    tasks: Vec<JoinHandle<()>>,
    ended: Arc<AtomicBool>,
    acknowledged: Arc<Mutex<Vec<String>>>,
    slowest: Arc<Mutex<Duration>>,
}

#[derive(Clone)]
struct Writer {
    owners: Owners,
    monolith: Pool,
    service: Pool,
    /// Between two orders.
    rest: Duration,
}

impl Writers {
    /// So many, each of some 150 orders a second.
    pub async fn start(shop: &Shop, count: u64) -> Self {
        Self::resting(shop, count, Duration::from_millis(4)).await
    }

    /// One of some 40 orders a second, where many shops share a machine.
    pub async fn gentle(shop: &Shop) -> Self {
        Self::resting(shop, 1, Duration::from_millis(20)).await
    }

    async fn resting(shop: &Shop, count: u64, rest: Duration) -> Self {
        let owners = shop.picker(Role::Gateway).await;
        let (monolith, service) = (shop.monolith.clone(), shop.service.clone());
        let writer = Writer { owners: owners.clone(), monolith, service, rest };
        let ended = Arc::new(AtomicBool::new(false));
        let acknowledged = Arc::new(Mutex::new(Vec::new()));
        let slowest = Arc::new(Mutex::new(Duration::ZERO));
        let tasks = (0..count).map(|number| {
            let (writer, ended) = (writer.clone(), Arc::clone(&ended));
            let (acknowledged, slowest) = (Arc::clone(&acknowledged), Arc::clone(&slowest));
            tokio::spawn(async move {
                let mut order = 0;
                while !ended.load(Ordering::Acquire) {
                    order += 1;
                    let customer = format!("writer {number} order {order}");
                    let start = Instant::now();
                    writer.order(&customer).await;
                    let mut slowest = slowest.lock().unwrap();
                    *slowest = start.elapsed().max(*slowest);
                    acknowledged.lock().unwrap().push(customer);
                }
            })
        });
        let tasks = tasks.collect();
        Self { owners, tasks, ended, acknowledged, slowest }
    }

    /// How many writes have been acknowledged so far.
    pub fn count(&self) -> usize {
        self.acknowledged.lock().unwrap().len()
    }

    /// The acknowledged orders' customers; every writer has ended.
    pub async fn stop(self) -> Vec<String> {
        self.ended.store(true, Ordering::Release);
        for task in self.tasks {
            task.await.unwrap();
        }
        // Its picker would look for a control database that is gone, for as long as the other tests run.
        self.owners.leave().await;
        println!("slowest write {:?}", self.slowest.lock().unwrap());
        self.acknowledged.lock().unwrap().clone()
    }
}

impl Writer {
    /// Repeats until it is acknowledged; only what the fence refused may be repeated.
    async fn order(&self, customer: &str) {
        let start = Instant::now();
        loop {
            let written = {
                let guard = self.owners.begin(CAPABILITY);
                let view = guard.view();
                // A write under *pending* is buffered whole, so it is not waited for.
                let _unbuffered = view.pending.is_none().then_some(guard);
                self.write(view.owner, customer).await
            };
            match written {
                Ok(()) => break,
                Err(error) if ficus_pg::fenced(&error).is_some() => {
                    assert!(start.elapsed() < Duration::from_mins(1), "fenced for a minute");
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                Err(error) => panic!("{customer}: {error}"),
            }
        }
        tokio::time::sleep(self.rest).await;
    }

    async fn write(&self, owner: Side, customer: &str) -> sqlx::Result<()> {
        let (pool, order, line) = match owner {
            Side::Monolith => (
                &self.monolith,
                "INSERT INTO orders (customer, total) VALUES ($1, 7) RETURNING id",
                "INSERT INTO order_lines VALUES ($1, 1, 'sku', 7)",
            ),
            Side::Service => (
                &self.service,
                "INSERT INTO purchases (buyer, total) VALUES ($1, 7) RETURNING purchase_id",
                "INSERT INTO purchase_lines VALUES ($1, 1, 'sku', 7)",
            ),
        };
        let mut tx: Transaction<'_, Postgres> = pool.begin().await?;
        let id: i64 = sqlx::query_scalar(order).bind(customer).fetch_one(&mut *tx).await?;
        sqlx::query(line).bind(id).execute(&mut *tx).await?;
        tx.commit().await
    }
}
