//! The write pause does not grow with the tables nor with the log: the same switches with fifty thousand rows and with
//! five million, and as many entries of the log.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use ficus_mover::{Budget, Direction, Side};
use support::{Library, run};

const SMALL: u32 = 50_000;
const LARGE: u32 = 5_000_000;
const SWITCHES: usize = 20;
/// Rows changed before each switch, all over the table.
const CHANGES: u64 = 200;

/// A library whose sides both have so many loans, as after a copy.
async fn library(test: &str, rows: u32) -> Library {
    let mut library = Library::new(test).await;
    let fill = async |side, table| {
        let mut session = library.connect(side).await;
        let rows = format!("SELECT n, 'i', '2026-01-01' FROM generate_series(1, {rows}) AS n");
        run(&mut session, format!("INSERT INTO {table} (id, isbn, at) {rows}")).await.unwrap();
        run(&mut session, format!("VACUUM (ANALYZE) {table}")).await.unwrap();
    };
    tokio::join!(fill(Side::Monolith, "loans"), fill(Side::Service, "lendings"));
    library.raise().await;
    let (mover, attempt, epoch) = (library.mover.clone(), library.attempt, library.epoch);
    mover.install(attempt, epoch, Side::Monolith).await.unwrap();
    // The cursor of a target that has everything: that of the direction which is not the reverse one.
    mover.store_reverse_cursor(Direction::Reverse, attempt, epoch).await.unwrap();
    // What was followed long ago and is not pruned yet.
    let follow = async |side, table| {
        let old = format!(
            "INSERT INTO ficus.dirty (capability, xid, tbl, key)
             SELECT 'catalogue', '3', '{table}', '{{}}' FROM generate_series(1, {rows})"
        );
        run(&mut library.connect(side).await, old).await.unwrap();
    };
    tokio::join!(follow(Side::Monolith, "loans"), follow(Side::Service, "lendings"));
    library
}

/// The pauses of switches there and back, the shortest first.
async fn pauses(library: &mut Library, rows: u32) -> Vec<Duration> {
    let mut pauses = Vec::new();
    let mut direction = Direction::Forward;
    for number in 0..SWITCHES {
        let table = if direction == Direction::Forward { "loans" } else { "lendings" };
        let changes = format!(
            "UPDATE {table} SET isbn = 'switch {number}'
             WHERE id IN (SELECT n * {rows} / {CHANGES} FROM generate_series(1, {CHANGES}::bigint) AS n)"
        );
        pauses.push(pause(library, direction, changes).await);
        direction = direction.opposite();
    }
    pauses.sort();
    pauses
}

/// A switch whose drain carries and compares the changes. Its pause is from asking for the fence to the opening.
async fn pause(library: &mut Library, direction: Direction, changes: String) -> Duration {
    library.raise().await;
    let (mover, attempt, next) = (library.mover.clone(), library.attempt, library.epoch + 1);
    let mut follower = library.follower(direction).await;
    follower.round(Budget { chunks: 0 }).await.unwrap();
    mover.store_reverse_cursor(direction, attempt, next).await.unwrap();
    // Also connects the sessions that the fence needs.
    mover.preflight(direction).await.unwrap();
    let mut owner = library.connect(direction.source()).await;
    assert_eq!(run(&mut owner, changes).await.unwrap(), CHANGES);

    let begun = Instant::now();
    mover.fence(direction.source(), attempt).await.unwrap();
    let drained = follower.drain(attempt).await.unwrap();
    mover.prepare_opening(direction, attempt, next).await.unwrap().commit().await.unwrap();
    let pause = begun.elapsed();
    assert!(drained.dirty >= CHANGES && drained.verified >= CHANGES, "{drained:?}");
    library.epoch = next;
    pause
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pause_does_not_grow_with_five_million_rows() {
    let mut medians = Vec::new();
    for (test, rows) in [("small", SMALL), ("large", LARGE)] {
        let begun = Instant::now();
        let mut library = library(test, rows).await;
        let filled = begun.elapsed();
        let pauses = pauses(&mut library, rows).await;
        println!("{rows} rows, filled in {filled:?}, {:?}: {pauses:?}", begun.elapsed());
        medians.push(pauses[SWITCHES / 2]);
        library.close().await;
    }
    let (small, large) = (medians[0], medians[1]);
    assert!(large <= 2 * small + Duration::from_millis(50), "{large:?}, and {small:?} when small");
}
