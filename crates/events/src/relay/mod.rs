//! Publishes one capability's outbox.

use std::time::Duration;

use ficus_process::Shutdown;
use sqlx::PgPool;

use crate::Kafka;

/// Publishes what one capability has appended to this database's outbox. Of several only one works at
/// a time.
pub struct Relay {
    _pool: PgPool,
}

/// Tells a relay that something was committed, so that it need not wait for its next poll.
#[derive(Clone)]
pub struct Waker;

impl Waker {
    /// To be called after the commit.
    pub fn wake(&self) {
        todo!()
    }
}

impl Relay {
    /// `instance` names this process in the lease and must not be shared by two that run at once.
    pub fn new(
        pool: PgPool,
        kafka: impl Into<Kafka>,
        capability: impl Into<String>,
        instance: impl Into<String>,
    ) -> Self {
        let _ = (pool, kafka.into(), capability.into(), instance.into());
        todo!()
    }

    /// For the writers in this process.
    pub fn waker(&self) -> Waker {
        todo!()
    }

    /// Runs until shutdown is requested; errors are logged and tried again.
    pub async fn run(self, shutdown: Shutdown) {
        let _ = shutdown;
        todo!()
    }
}

/// What a relay has not yet published and confirmed.
#[derive(Clone, Debug)]
pub struct Lag {
    pub events: i64,
    /// Of the oldest; zero if there is none.
    pub age: Duration,
    /// It waits until another database's relay has confirmed what it published.
    pub held: bool,
    /// Why it has stopped for good, if it has.
    pub stopped: Option<String>,
}

/// How far the relay of `capability` is behind this database's outbox; `None` if none ever ran here.
pub async fn lag(pool: &PgPool, capability: &str) -> sqlx::Result<Option<Lag>> {
    let _ = (pool, capability);
    todo!()
}
