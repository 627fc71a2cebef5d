//! What a move locks while customers write: notifications with 200,000 rows are set up, copied, compared, switched and
//! torn down.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use ficus_mover::{Budget, Direction, Follower, Phase, Side};
use sqlx::PgConnection;
use support::{definition, monolith_database, service_database};
use tokio::task::JoinHandle;
use trellis_testkit::{
    Lock, LockSampler,
    moving::{Moving, connect, run},
};

/// As long as a customer may have to wait for a lock of the mover's.
const LIMIT: Duration = Duration::from_millis(100);
const WRITERS: u32 = 3;
/// How long customers write beside nothing.
const REST: Duration = Duration::from_secs(3);
const ROWS: &str = "
    INSERT INTO users (id, email, name, password_hash)
    SELECT id, 'person-' || id, 'person', '' FROM generate_series(1, 500) AS id;
    INSERT INTO workspaces (id, name) VALUES (1, 'one');
    INSERT INTO notifications (user_id, kind, workspace_id)
    SELECT 1 + id % 500, 'welcome', 1 FROM generate_series(1, 150000) AS id;
    INSERT INTO emails (user_id, template, cause)
    SELECT 1 + id % 500, 'mention', 'before-' || id FROM generate_series(1, 50000) AS id;
    ANALYZE";

/// Customers who write to the monolith until its fence refuses them, then to the service.
struct Writers {
    ended: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Vec<Write>>>,
}

/// When one began, and how long it took.
#[derive(Debug, Clone, Copy)]
struct Write {
    begun: Instant,
    took: Duration,
}

impl Writers {
    async fn start(moving: &Moving) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for number in 0..WRITERS {
            let sides = [moving.connect(Side::Monolith).await, moving.connect(Side::Service).await];
            tasks.push(tokio::spawn(write(number, sides, Arc::clone(&ended))));
        }
        Self { ended, tasks }
    }

    /// All there were, the fastest first.
    async fn stop(self) -> Vec<Write> {
        self.ended.store(true, Ordering::Release);
        let mut writes = Vec::new();
        for task in self.tasks {
            writes.extend(task.await.unwrap());
        }
        writes.sort_unstable_by_key(|write| write.took);
        writes
    }
}

/// Of the writes that began within this time, the one that 99 of 100 were no slower than.
fn p99(writes: &[Write], within: &std::ops::Range<Instant>) -> Duration {
    let took: Vec<_> = writes.iter().filter(|write| within.contains(&write.begun)).collect();
    took[took.len() * 99 / 100].took
}

async fn write(number: u32, mut sides: [PgConnection; 2], ended: Arc<AtomicBool>) -> Vec<Write> {
    let (mut side, mut writes, mut round) = (0, Vec::new(), 0);
    while !ended.load(Ordering::Acquire) {
        round += 1;
        let user = 1 + (round * WRITERS + number) % 500;
        let table = ["notifications", "inbox_items"][side];
        let statement = format!(
            "INSERT INTO {table} (user_id, kind, workspace_id) VALUES ({user}, 'mention', 1);
             UPDATE {table} SET read_at = now() WHERE id = {}",
            1 + round * 7919 % 150_000
        );
        let begun = Instant::now();
        match run(&mut sides[side], statement).await {
            Ok(_) => writes.push(Write { begun, took: begun.elapsed() }),
            // Nobody owns for some milliseconds: the fence shuts before the other side opens.
            Err(error) if ficus_pg::fenced(&error).is_some() => side = 1,
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    writes
}

async fn until_verified(follower: &mut Follower) {
    loop {
        let round = follower.round(Budget { chunks: 4 }).await.unwrap();
        if round.phase == Phase::Following && round.verdict.whole {
            assert_eq!(round.verdict.rows_differing, 0);
            return;
        }
    }
}

fn too_long(locks: &[Lock]) -> Vec<&Lock> {
    locks.iter().filter(|lock| lock.seen > LIMIT + lock.blind).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_lock_of_a_move_keeps_customers_waiting() {
    let (monolith, service) = (monolith_database().await, service_database().await);
    let urls = [monolith.url().to_owned(), service.url().to_owned()];
    let mut moving = Moving::new("notifications", definition(), urls);
    run(&mut moving.connect(Side::Monolith).await, ROWS).await.unwrap();
    let monolith_sampler = LockSampler::start(monolith.url()).await;
    let writers = Writers::start(&moving).await;
    let begun = Instant::now();
    tokio::time::sleep(REST).await;
    let rest = begun..Instant::now();

    // One that is given up half way, as `cancel` does.
    moving.install().await;
    let mut follower = moving.follower(Direction::Forward).await;
    while follower.rows_copied() < 100_000 {
        follower.round(Budget { chunks: 4 }).await.unwrap();
    }
    drop(follower);
    moving.mover.empty_target(moving.attempt).await.unwrap();
    moving.mover.uninstall(moving.attempt, false).await.unwrap();

    // And one to its end. What empties the service's tables is not watched: they have no customers before they own.
    let service_sampler = LockSampler::start(service.url()).await;
    moving.install().await;
    let begun = Instant::now();
    until_verified(&mut moving.follower(Direction::Forward).await).await;
    let copy = begun..Instant::now();
    moving.mover.vacuum_target(Direction::Forward).await.unwrap();
    moving.mover.preflight(Direction::Forward).await.unwrap();
    assert!(moving.try_switch(Direction::Forward).await, "the switch was aborted");
    moving.mover.complete(moving.attempt).await.unwrap();

    let all = writers.stop().await;
    let mut locks = Vec::new();
    for sampler in [monolith_sampler, service_sampler] {
        locks.extend(sampler.stop().await);
    }
    locks.sort_by_key(|lock| std::cmp::Reverse(lock.seen));
    let (slowest, seen) = (all[all.len() - 1].took, locks.len());
    let (beside, alone) = (p99(&all, &copy), p99(&all, &rest));
    let ratio = beside.as_secs_f64() / alone.as_secs_f64();
    println!(
        "{} writes: p99 {beside:?} beside the copy, {alone:?} before it ({ratio:.2}); slowest {slowest:?}; {seen} locks seen",
        all.len(),
    );
    for lock in locks.iter().take(5) {
        println!("{lock:?}");
    }
    assert!(all.len() > 500, "only {} writes", all.len());
    assert!(locks.len() > 10, "the sampler saw only {locks:?}");
    assert_eq!(too_long(&locks).len(), 0, "{:#?}", too_long(&locks));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_that_is_held_for_long_is_seen() {
    let monolith = monolith_database().await;
    let sampler = LockSampler::start(monolith.url()).await;
    let mut holder = connect(monolith.url()).await;
    let hold = "SET application_name = 'ficus:held:1'; BEGIN; LOCK TABLE notifications; SELECT pg_sleep(0.4); COMMIT";
    run(&mut holder, hold).await.unwrap();
    let locks = sampler.stop().await;
    assert_eq!(too_long(&locks).len(), 1, "{locks:?}");
}
