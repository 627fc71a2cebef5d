//! How long the mover's sessions have locks that customers wait for.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};
use tokio::task::JoinHandle;

const PAUSE: Duration = Duration::from_millis(2);

/// A transaction's lock on one table, from the first time that it was seen held or asked for to the last: whoever comes
/// later queues behind one that is asked for, too.
#[derive(Debug, Clone)]
pub struct Lock {
    pub table: String,
    pub mode: String,
    pub seen: Duration,
    /// The longest time between two looks meanwhile: a machine that gives the sampler no turn may give the holder none.
    pub blind: Duration,
}

/// Looks at one database's locks every 2 ms until it is stopped.
pub struct LockSampler {
    ended: Arc<AtomicBool>,
    task: JoinHandle<Vec<Lock>>,
}

impl LockSampler {
    /// Watches tables in schema `public` for locks that conflict with a customer's writes or reads, held by sessions
    /// whose name begins with `ficus`.
    pub async fn start(url: &str) -> Self {
        let mut connection = PgConnection::connect(url).await.expect("failed to connect");
        let ended = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&ended);
        let task = tokio::spawn(async move {
            let mut sampled = Sampled::default();
            while !until.load(Ordering::Acquire) {
                sampled.look(&mut connection).await;
                tokio::time::sleep(PAUSE).await;
            }
            sampled.locks()
        });
        Self { ended, task }
    }

    /// What was seen, the longest first.
    pub async fn stop(self) -> Vec<Lock> {
        self.ended.store(true, Ordering::Release);
        self.task.await.expect("the sampler failed")
    }
}

/// Transaction, table and mode. `pg_locks` itself names the transaction: when `pg_stat_activity` is read a moment later,
/// it may be over.
type Key = (String, String, String);

#[derive(Default)]
struct Sampled {
    seen: HashMap<Key, Span>,
    looked: Option<Instant>,
}

struct Span {
    first: Instant,
    last: Instant,
    blind: Duration,
}

impl Sampled {
    async fn look(&mut self, connection: &mut PgConnection) {
        let held: Vec<Key> = sqlx::query_as(
            "SELECT l.virtualtransaction, c.relname::text, l.mode
             FROM pg_locks AS l
             JOIN pg_class AS c ON c.oid = l.relation
             JOIN pg_stat_activity AS a ON a.pid = l.pid
             WHERE l.locktype = 'relation'
               AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
               AND a.application_name LIKE 'ficus%'
               AND l.mode IN ('AccessExclusiveLock', 'ExclusiveLock', 'ShareRowExclusiveLock', 'ShareLock')",
        )
        .fetch_all(connection)
        .await
        .expect("failed to look at the locks");
        let now = Instant::now();
        let since = self.looked.replace(now).map_or(Duration::ZERO, |before| now - before);
        for key in held {
            let span = self.seen.entry(key);
            let span = span.or_insert(Span { first: now, last: now, blind: Duration::ZERO });
            if span.first < now {
                span.blind = span.blind.max(since);
            }
            span.last = now;
        }
    }

    fn locks(self) -> Vec<Lock> {
        let lock = |((_, table, mode), span): (Key, Span)| Lock {
            table,
            mode,
            seen: span.last - span.first,
            blind: span.blind,
        };
        let mut locks: Vec<Lock> = self.seen.into_iter().map(lock).collect();
        locks.sort_by_key(|lock| std::cmp::Reverse(lock.seen));
        locks
    }
}
