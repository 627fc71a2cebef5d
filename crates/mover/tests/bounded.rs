//! What waits for no lock and no answer longer than it may.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use ficus_mover::{Direction, Error, FenceState, Mover, Side};
use sqlx::Connection as _;
use support::{CAPABILITY, Library, connect, definition, run};
use trellis_testkit::Line;

/// Longer than any single wait for a lock, shorter than what a queue behind the holder would take.
const PATIENCE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn a_bounded_statement_lets_others_pass_and_is_done_once_it_can_be() {
    let library = Library::new("bounded").await;
    let mut holder = library.connect(Side::Monolith).await;
    run(&mut holder, "BEGIN; SELECT * FROM authors").await.unwrap();

    let url = library.url(Side::Monolith).to_owned();
    let change = tokio::spawn(async move {
        let mut person = connect(&url).await;
        run(&mut person, "CALL ficus.bounded('ALTER TABLE authors ADD COLUMN died int')").await
    });
    let mut watcher = library.connect(Side::Monolith).await;
    let waits =
        "SELECT count(*) FROM pg_locks WHERE relation = 'authors'::regclass AND NOT granted";
    while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut watcher).await.unwrap() == 0 {
        assert!(!change.is_finished());
    }

    let mut customer = library.connect(Side::Monolith).await;
    let write = run(&mut customer, "INSERT INTO authors VALUES ('a', 'A')");
    let passed = tokio::time::timeout(PATIENCE, write).await;
    passed.expect("a write queues behind the change").unwrap();
    assert!(!change.is_finished());

    run(&mut holder, "COMMIT").await.unwrap();
    change.await.unwrap().unwrap();
    run(&mut customer, "UPDATE authors SET died = 1852").await.unwrap();
    for connection in [holder, watcher, customer] {
        connection.close().await.unwrap();
    }
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_that_are_open_are_opened_without_waiting_for_who_holds_them() {
    let library = Library::installed("open").await;
    let mut holder = library.connect(Side::Monolith).await;
    run(&mut holder, "BEGIN; LOCK TABLE authors, books").await.unwrap();
    let opening = library.mover.unfence(Side::Monolith, library.attempt);
    tokio::time::timeout(PATIENCE, opening).await.expect("it waits").unwrap();
    run(&mut holder, "COMMIT").await.unwrap();
    holder.close().await.unwrap();
    library.close().await;
}

/// The kernel would wait for a quarter of an hour.
const GIVEN_UP: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn a_side_whose_host_is_gone_is_not_waited_for() {
    let library = Library::installed("gone").await;
    let line = Line::to(library.url(Side::Monolith)).await;
    let service = library.url(Side::Service);
    let mover = Mover::connect(CAPABILITY, definition(), line.url(), service).unwrap();
    let follower = async || mover.follower(Direction::Reverse, 1).await.map(drop);
    assert!(matches!(follower().await, Err(Error::LostCursor { .. })));
    mover.token(Side::Monolith).await.unwrap();
    mover.raise_token(Side::Monolith, library.attempt, library.epoch).await.unwrap();
    line.lose_the_server();
    let asked = async {
        tokio::join!(
            async { mover.token(Side::Monolith).await.map(drop) },
            mover.raise_token(Side::Monolith, library.attempt, library.epoch),
            follower(),
        )
    };
    let (token, raised, loaded) = tokio::time::timeout(GIVEN_UP, asked).await.expect("it waits");
    let cursor = matches!(loaded, Err(Error::LostCursor { .. } | Error::Unreachable { .. }));
    assert!(cursor, "{loaded:?}");
    for answer in [token, raised] {
        assert!(matches!(answer, Ok(()) | Err(Error::Unreachable { .. })), "{answer:?}");
    }
    mover.snapshot(Side::Monolith).await.expect("another is there");
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_was_stopped_in_the_midst_of_a_copy_is_ended_at_a_takeover() {
    let library = Library::installed("stopped").await;
    let mut stopped = library.connect(Side::Service).await;
    let page =
        "SET application_name = 'ficus-follow:catalogue'; CREATE TEMPORARY TABLE page (key text);
                BEGIN; SELECT FROM ficus.token FOR UPDATE";
    run(&mut stopped, page).await.unwrap();
    let rows = stopped.copy_in_raw("COPY page FROM STDIN").await.unwrap();
    library.mover.end_sessions(Side::Service, library.attempt).await.unwrap();
    library.mover.raise_token(Side::Service, library.attempt, library.epoch).await.unwrap();
    drop(rows);
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opening_whose_commit_is_not_answered_is_given_up_and_done_again() {
    let library = Library::installed("unanswered").await;
    let line = Line::to(library.url(Side::Service)).await;
    let monolith = library.url(Side::Monolith);
    let mover = Mover::connect(CAPABILITY, definition(), monolith, line.url()).unwrap();
    let (direction, attempt) = (Direction::Forward, library.attempt);
    let opening = mover.prepare_opening(direction, attempt, 2).await.unwrap();
    line.lose_the_server();
    let committed = tokio::time::timeout(GIVEN_UP, opening.commit()).await.expect("it waits");
    assert!(matches!(committed, Err(Error::Unreachable { .. })), "{committed:?}");
    mover.prepare_opening(direction, attempt, 2).await.unwrap().commit().await.unwrap();
    assert_eq!(mover.fence_state(Side::Service).await.unwrap(), FenceState::Open);
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fence_of_which_a_table_failed_does_not_say_that_it_only_waited() {
    let library = Library::installed("either").await;
    let mut holder = library.connect(Side::Monolith).await;
    run(&mut holder, "DROP TRIGGER ficus_fence_statement ON books").await.unwrap();
    run(&mut holder, "BEGIN; LOCK TABLE authors").await.unwrap();
    let fenced = library.mover.fence(Side::Monolith, library.attempt).await;
    assert!(matches!(fenced, Err(Error::Database { .. })), "{fenced:?}");
    run(&mut holder, "COMMIT").await.unwrap();
    holder.close().await.unwrap();
    library.close().await;
}
