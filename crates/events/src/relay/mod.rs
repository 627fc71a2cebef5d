//! Publishes one capability's outbox: [`lease`] says who, [`source`] from what server, [`page`] what
//! comes next and in which order, [`publisher`] hands it to the broker, [`position`] remembers it.

mod lag;
mod lease;
mod measure;
mod page;
mod position;
mod prune;
mod publisher;
mod source;
mod versions;
mod work;

use std::sync::Arc;

use ficus_pg::Pool;
use ficus_process::Shutdown;
use tokio::sync::Notify;

use crate::Kafka;

pub use lag::{Lag, lag};

/// The lease's renewal, a page, pruning and measuring: one each, since pruning and measuring may take long at the same
/// time, and a renewal that waits for a connection loses the lease. And one for a page that was given up, whose connection
/// is a while in coming back.
const CONNECTIONS: u32 = 5;

/// Publishes what one capability has appended to this database's outbox, in the order of ids within
/// what becomes visible together. Of several relays of one capability only one works at a time.
///
/// Events are published at least once. It stops, and says why in `ficus.relay.stopped`, when the
/// database is not the one it has read so far or when a key's version goes back.
pub struct Relay {
    pool: Pool,
    kafka: Kafka,
    capability: String,
    instance: String,
    committed: Arc<Notify>,
}

/// Tells a relay that something was committed, so that it need not wait for its next poll.
#[derive(Clone)]
pub struct Waker(Arc<Notify>);

impl Waker {
    /// To be called after the commit.
    pub fn wake(&self) {
        self.0.notify_one();
    }
}

impl Relay {
    /// `instance` names this process in the lease and must not be shared by two that run at once. The relay has five
    /// connections of its own, as `pool` makes them: it must not lose its lease because requests wait for `pool`.
    pub fn new(
        pool: &Pool,
        kafka: impl Into<Kafka>,
        capability: impl Into<String>,
        instance: impl Into<String>,
    ) -> Self {
        let capability = capability.into();
        Self {
            pool: pool.apart(&format!("ficus-relay:{capability}"), CONNECTIONS),
            kafka: kafka.into(),
            capability,
            instance: instance.into(),
            committed: Arc::new(Notify::new()),
        }
    }

    /// For the writers in this process.
    pub fn waker(&self) -> Waker {
        Waker(Arc::clone(&self.committed))
    }

    /// Runs until shutdown is requested; errors are logged and tried again.
    pub async fn run(self, shutdown: Shutdown) {
        while !shutdown.is_requested() {
            tokio::select! {
                () = shutdown.requested() => return,
                lease = self.next_lease() => self.lead(&lease, &shutdown).await,
            }
        }
    }

    async fn next_lease(&self) -> lease::Lease {
        loop {
            match lease::acquire(&self.pool, &self.capability, &self.instance).await {
                Ok(Some(lease)) => return lease,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(capability = self.capability, %error, "failed to ask for the lease");
                }
            }
            tokio::time::sleep(lease::RENEWAL).await;
        }
    }

    async fn lead(&self, lease: &lease::Lease, shutdown: &Shutdown) {
        tracing::info!(capability = self.capability, token = lease.token, "this relay leads");
        tokio::select! {
            () = lease::keep(&self.pool, lease) => {}
            () = work::run(self, lease) => {}
            () = prune::run(&self.pool, &self.capability) => {}
            () = measure::run(&self.pool, &self.capability) => {}
            () = shutdown.requested() => {
                if let Err(error) = lease::release(&self.pool, lease).await {
                    tracing::warn!(%error, "failed to release the relay's lease");
                }
                return;
            }
        }
        tracing::warn!(
            capability = self.capability,
            token = lease.token,
            "the relay's lease is lost"
        );
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
mod tests {
    use std::time::Duration;

    use sqlx::{Connection as _, Executor as _};
    use trellis_testkit::{Migrations, Server, database};

    use super::*;

    /// Four times as long as a lease lasts, and longer than a page is waited for.
    const LONG: Duration = Duration::from_secs(7);

    #[tokio::test]
    async fn a_page_pruning_and_measuring_that_take_long_leave_the_lease_be() {
        let migrations =
            Migrations { migrator: &crate::MIGRATOR, table: "_sqlx_migrations_events" };
        let database = database(Server::First, &[migrations]).await;
        let pool = database.pool().await;
        let relay = Relay::new(&pool, "127.0.0.1:1".to_owned(), "library", "relay");
        // As pruning does once a minute.
        let _pruning = relay.pool.acquire().await.unwrap();
        let mut other = database.connect().await;
        let mut locked = other.begin().await.unwrap();
        locked.execute("LOCK TABLE ficus.outbox").await.unwrap();
        let shutdown = Shutdown::new();
        let running = tokio::spawn(relay.run(shutdown.clone()));
        // The page, and measuring.
        database.blocked(2).await;
        tokio::time::sleep(LONG).await;
        let lease = "SELECT token, expires_at > clock_timestamp() FROM ficus.relay";
        let lease: (i64, bool) = sqlx::query_as(lease).fetch_one(&pool).await.unwrap();
        assert_eq!(lease, (1, true));
        locked.rollback().await.unwrap();
        shutdown.request();
        running.await.unwrap();
    }
}
