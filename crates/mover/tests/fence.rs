//! The fence and the steps around it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use ficus_mover::{Budget, Direction, Error, FenceState, Side};
use ficus_pg::{Fenced, fenced};
use support::{CAPABILITY, Library, crash_after, follow_until_verified, run};
use trellis_testkit::noticed;

/// What a test says if an acknowledged write is gone.
const LOST: &str = "an acknowledged write is lost";

fn refusal(result: sqlx::Result<u64>) -> Fenced {
    fenced(&result.unwrap_err()).expect("ZF001")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shut_side_refuses_every_write_and_counts_it() {
    let library = Library::installed("refuses").await;
    let mut owner = library.connect(Side::Monolith).await;
    let mut other = library.connect(Side::Service).await;
    run(&mut owner, "INSERT INTO authors VALUES ('a', 'A')").await.unwrap();
    let refused = Fenced { capability: CAPABILITY.to_owned(), epoch: 1 };
    assert_eq!(refusal(run(&mut other, "INSERT INTO people VALUES ('a', 'A')").await), refused);

    // An old snapshot does not walk past the fence.
    let mut old = library.connect(Side::Monolith).await;
    run(&mut old, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT * FROM authors").await.unwrap();
    library.mover.fence(Side::Monolith, library.attempt).await.unwrap();
    assert_eq!(library.mover.fence_state(Side::Monolith).await.unwrap(), FenceState::Shut);
    assert_eq!(refusal(run(&mut old, "UPDATE authors SET name = 'late'").await), refused);
    run(&mut old, "ROLLBACK").await.unwrap();

    let before = library.mover.refused(Side::Monolith).await.unwrap();
    for write in [
        "UPDATE authors SET name = 'x' WHERE false",
        "DELETE FROM books",
        "TRUNCATE loans",
        "SET session_replication_role = replica; DELETE FROM authors",
    ] {
        assert_eq!(refusal(run(&mut owner, write).await), refused, "{write}");
    }
    assert_eq!(library.mover.refused(Side::Monolith).await.unwrap(), before + 4);

    // A subscription's rows come without a statement.
    let statements = |verb| format!("ALTER TABLE authors {verb} TRIGGER ficus_fence_statement");
    run(&mut owner, &statements("DISABLE")).await.unwrap();
    for write in ["INSERT INTO authors VALUES ('b', 'B')", "DELETE FROM authors"] {
        assert_eq!(refusal(run(&mut owner, write).await), refused, "{write}");
    }
    run(&mut owner, &statements("ENABLE ALWAYS")).await.unwrap();

    library.mover.unfence(Side::Monolith, library.attempt).await.unwrap();
    run(&mut owner, "RESET session_replication_role; UPDATE authors SET name = 'again'")
        .await
        .unwrap();
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_in_the_opposite_order_do_not_deadlock_the_fence() {
    let library = Library::installed("order").await;
    let mut setup = library.connect(Side::Monolith).await;
    run(
        &mut setup,
        "INSERT INTO authors SELECT n::text, 'A' FROM generate_series(1, 8) AS n;
        INSERT INTO shelves SELECT 's', n, 'l' || n FROM generate_series(1, 8) AS n",
    )
    .await
    .unwrap();
    let mut writers = Vec::new();
    // Each on rows of its own: only the fence can bring them into each other's way.
    for n in 1..=8 {
        let mut order = [
            format!("UPDATE authors SET name = 'n' WHERE code = '{n}'"),
            format!("UPDATE shelves SET label = label || '' WHERE number = {n}"),
        ];
        if n % 2 == 0 {
            order.reverse();
        }
        let mut session = library.connect(Side::Monolith).await;
        writers.push(tokio::spawn(async move {
            loop {
                run(&mut session, "BEGIN").await.unwrap();
                for update in &order {
                    if let Err(error) = run(&mut session, update).await {
                        assert!(fenced(&error).is_some(), "{error}");
                        return;
                    }
                }
                run(&mut session, "COMMIT").await.unwrap();
            }
        }));
    }
    for writer in &writers {
        assert!(!writer.is_finished());
    }
    // The controller tries a switch that aborts up to three times.
    for tries in 1.. {
        match library.mover.fence(Side::Monolith, library.attempt).await {
            Ok(()) => break,
            Err(Error::LockTimeout { .. }) if tries < 3 => {
                library.mover.unfence(Side::Monolith, library.attempt).await.unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_s_epoch_does_not_go_back() {
    let mut library = Library::installed("epochs").await;
    library.raise().await;
    let (mover, attempt) = (library.mover.clone(), library.attempt);
    let epochs = async || {
        let of = async |side| mover.token(side).await.unwrap().unwrap().epoch;
        [of(Side::Monolith).await, of(Side::Service).await]
    };
    let rehearsed = mover.prepare_opening(Direction::Forward, attempt, 2).await.unwrap();
    rehearsed.rollback().await.unwrap();
    assert_eq!(epochs().await, [1, 1]);
    let opening = mover.prepare_opening(Direction::Forward, attempt, 2).await.unwrap();
    opening.commit().await.unwrap();
    assert_eq!(epochs().await, [1, 2], "who is opened knows it at once");

    let raised = mover.raise_token(Side::Service, attempt + 7, 1).await;
    assert!(matches!(raised, Err(Error::PastEpoch { side: Side::Service, .. })), "{raised:?}");
    assert_eq!(mover.token(Side::Service).await.unwrap().unwrap().attempt, attempt);
    mover.raise_token(Side::Service, attempt + 7, 2).await.unwrap();
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_over_can_neither_shut_nor_open() {
    let mut library = Library::installed("stale").await;
    let stale = library.attempt;
    let prepared = library.mover.prepare_opening(Direction::Forward, stale, 2).await.unwrap();
    library.raise().await;
    assert!(prepared.commit().await.is_err(), "the session of the old attempt was ended");
    assert_eq!(library.mover.fence_state(Side::Service).await.unwrap(), FenceState::Shut);

    let is_stale = |result: Result<(), Error>| {
        assert!(matches!(result, Err(Error::StaleAttempt { .. })), "{result:?}");
    };
    let mover = library.mover.clone();
    let opened = mover.unfence(Side::Service, stale).await;
    let mut service = library.connect(Side::Service).await;
    let written = run(&mut service, "INSERT INTO lendings (isbn) VALUES ('z')").await;
    assert!(written.is_err(), "{LOST}: it was acknowledged where nobody will look for it");
    is_stale(opened);
    is_stale(mover.fence(Side::Monolith, stale).await);
    is_stale(mover.store_reverse_cursor(Direction::Forward, stale, 2).await);
    is_stale(mover.prepare_opening(Direction::Forward, stale, 2).await.map(drop));
    is_stale(mover.raise_token(Side::Service, stale, 1).await);
    is_stale(mover.empty_target(stale).await);
    let mut follower = library.follower(Direction::Forward).await;
    is_stale(follower.drain(stale).await.map(drop));
    assert_eq!(mover.fence_state(Side::Monolith).await.unwrap(), FenceState::Open);
    assert_eq!(mover.fence_state(Side::Service).await.unwrap(), FenceState::Shut);
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_that_wakes_after_the_switch_writes_nothing() {
    let mut library = Library::installed("lost").await;
    let mut owner = library.connect(Side::Monolith).await;
    let mut follower = library.follower(Direction::Forward).await;
    follow_until_verified(&mut follower).await;
    // It has the cursor in hand and something to write; meanwhile another drains and the service takes over.
    run(&mut owner, "INSERT INTO authors VALUES ('a', 'of the monolith')").await.unwrap();
    library.switch(Direction::Forward).await;
    let mut service = library.connect(Side::Service).await;
    run(&mut service, "UPDATE people SET name = 'of the service'").await.unwrap();
    let round = follower.round(Budget { chunks: 1 }).await;
    let late = follower.verify_again().await;
    let name: String =
        sqlx::query_scalar("SELECT name FROM people").fetch_one(&mut service).await.unwrap();
    assert_eq!(name, "of the service", "{LOST}: the follower has written over it");
    if let Ok(round) = &round {
        assert_eq!(round.dirty, 0, "{round:?}");
    }
    assert!(matches!(late, Err(Error::LostCursor { .. })), "{late:?}");
    assert!(matches!(
        library.mover.follower(Direction::Forward, 1).await,
        Err(Error::LostCursor { .. })
    ));
    let mut reverse = library.follower(Direction::Reverse).await;
    follow_until_verified(&mut reverse).await;
    library.assert_equal(Direction::Reverse).await;
    let name: String =
        sqlx::query_scalar("SELECT name FROM authors").fetch_one(&mut owner).await.unwrap();
    assert_eq!(name, "of the service");
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_round_that_is_stopped_anywhere_and_resumed_after_the_switch_writes_nothing() {
    let mut library = Library::installed("stopped").await;
    follow_until_verified(&mut library.follower(Direction::Forward).await).await;
    let mut direction = Direction::Forward;
    for polls in [3, 6, 9, 12, 15, 18, 21] {
        let source = direction.source();
        let mut owner = library.connect(source).await;
        let table = if source == Side::Monolith { "loans" } else { "lendings" };
        run(&mut owner, format!("INSERT INTO {table} (isbn) VALUES ('before')")).await.unwrap();
        let mut follower = library.follower(direction).await;
        let mut round = std::pin::pin!(follower.round(Budget { chunks: 1 }));
        let early = crash_after(polls, round.as_mut()).await;
        // It may hold the cursor's row: the server ends its session after 2 s.
        let begun = std::time::Instant::now();
        while !library.try_switch(direction).await {
            assert!(begun.elapsed().as_secs() < 5, "stopped after {polls} polls");
        }
        direction = direction.opposite();
        let mut new_owner = library.connect(direction.source()).await;
        let table = if source == Side::Monolith { "lendings" } else { "loans" };
        run(&mut new_owner, format!("DELETE FROM {table}")).await.unwrap();
        // Whatever it answers (its commit may have been on the way before), what it has in hand is not written.
        if early.is_none() {
            let _ = round.await;
        }
        follow_until_verified(&mut library.follower(direction).await).await;
        library.assert_equal(direction).await;
    }
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aborted_switch_leaves_everything_as_it_was() {
    let mut library = Library::installed("abort").await;
    let mut owner = library.connect(Side::Monolith).await;
    run(&mut owner, "INSERT INTO loans (isbn) VALUES ('x')").await.unwrap();
    let mut follower = library.follower(Direction::Forward).await;
    follow_until_verified(&mut follower).await;
    assert_eq!(library.mover.preflight(Direction::Forward).await.unwrap(), vec![]);
    let (mover, attempt) = (library.mover.clone(), library.attempt);
    mover.fence(Side::Monolith, attempt).await.unwrap();
    follower.drain(attempt).await.unwrap();
    mover.store_reverse_cursor(Direction::Forward, attempt, 2).await.unwrap();
    mover.prepare_opening(Direction::Forward, attempt, 2).await.unwrap().rollback().await.unwrap();
    mover.unfence(Side::Monolith, attempt).await.unwrap();
    run(&mut owner, "INSERT INTO loans (isbn) VALUES ('y')").await.unwrap();
    follow_until_verified(&mut follower).await;
    library.assert_equal(Direction::Forward).await;
    library.switch(Direction::Forward).await;
    let mut service = library.connect(Side::Service).await;
    let id: i64 = sqlx::query_scalar("INSERT INTO lendings (isbn) VALUES ('z') RETURNING id")
        .fetch_one(&mut service)
        .await
        .unwrap();
    assert!(id > 100, "{id}");
    library.close().await;
}

#[test]
fn a_step_that_does_not_match_the_token_row_is_noticed() {
    let test = "an_attempt_that_is_over_can_neither_shut_nor_open";
    noticed("token-off", test, &[LOST]);
}

#[test]
fn a_cursor_that_is_not_compared_and_swapped_is_noticed() {
    noticed("swap-off", "a_follower_that_wakes_after_the_switch_writes_nothing", &[LOST]);
}
