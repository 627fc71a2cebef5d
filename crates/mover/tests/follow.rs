//! What a follower must not miss, must not write and must not pass over in silence.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::{Duration, Instant};

use ficus_mover::{Budget, Direction, Error, Follower, Phase, Side};
use sqlx::PgConnection;
use support::{Library, follow_until_verified, run};
use trellis_testkit::noticed;

const BUDGET: Budget = Budget { chunks: 1 };

#[tokio::test(flavor = "multi_thread")]
async fn a_low_id_that_commits_late_is_not_skipped() {
    let library = Library::installed("late").await;
    let mut follower = library.follower(Direction::Forward).await;
    let mut early = library.connect(Side::Monolith).await;
    run(&mut early, "BEGIN; INSERT INTO authors VALUES ('early', 'E')").await.unwrap();
    let mut late = library.connect(Side::Monolith).await;
    for n in 0..20 {
        run(&mut late, format!("INSERT INTO authors VALUES ('late{n}', 'L')")).await.unwrap();
        follower.page_at_most(2);
        follower.round(BUDGET).await.unwrap();
    }
    follow_until_verified(&mut follower).await;
    run(&mut early, "INSERT INTO authors VALUES ('early2', 'E'); COMMIT").await.unwrap();
    let mut taken = 0;
    for _ in 0..3 {
        taken += follower.round(BUDGET).await.unwrap().dirty;
    }
    assert_eq!(taken, 2);
    library.assert_equal(Direction::Forward).await;
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_changed_hands_across_two_pages_is_carried_in_one() {
    let library = Library::installed("hands").await;
    let mut owner = library.connect(Side::Monolith).await;
    run(
        &mut owner,
        "INSERT INTO shelves SELECT 'a', n, 'label ' || n FROM generate_series(1, 9) AS n",
    )
    .await
    .unwrap();
    let mut follower = library.follower(Direction::Forward).await;
    follow_until_verified(&mut follower).await;
    run(&mut owner, "UPDATE shelves SET label = 'aside' WHERE number = 1").await.unwrap();
    for n in 2..10 {
        run(&mut owner, format!("UPDATE shelves SET label = 'label {}' WHERE number = {n}", n - 1))
            .await
            .unwrap();
    }
    // The last entry of the chain comes last, so that a page without it holds a label twice.
    run(&mut owner, "UPDATE shelves SET label = 'label 9' WHERE number = 1").await.unwrap();
    run(&mut owner, "DELETE FROM shelves WHERE number = 5; UPDATE shelves SET label = 'label 4' WHERE number = 1").await.unwrap();
    follower.page_at_most(2);
    follow_until_verified(&mut follower).await;
    library.assert_equal(Direction::Forward).await;
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_page_of_a_round_is_as_late_as_its_first() {
    let library = Library::installed("late_page").await;
    let mut follower = library.follower(Direction::Forward).await;
    follow_until_verified(&mut follower).await;
    let mut owner = library.connect(Side::Monolith).await;
    for n in 0..3 {
        run(&mut owner, format!("INSERT INTO authors VALUES ('p{n}', 'P')")).await.unwrap();
    }
    follower.page_at_most(2);
    let begun = Instant::now();
    assert_eq!(follower.round(BUDGET).await.unwrap().dirty, 2);
    // Time passes, of which the last page's own transaction knows nothing.
    run(&mut owner, "SELECT pg_sleep(0.3)").await.unwrap();
    let last = follower.round(BUDGET).await.unwrap();
    assert_eq!((last.dirty, last.single_page), (1, false));
    assert!(last.lag >= Duration::from_millis(300), "{:?} late, it says", last.lag);
    assert!(last.lag <= begun.elapsed() + Duration::from_millis(50), "{:?}", last.lag);
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_that_an_aborted_try_has_stored_is_stored_anew() {
    let mut library = Library::installed("anew").await;
    follow_until_verified(&mut library.follower(Direction::Forward).await).await;
    library.raise().await;
    let (attempt, epoch) = (library.attempt, library.epoch + 1);
    library.mover.store_reverse_cursor(Direction::Forward, attempt, epoch).await.unwrap();
    // The try is aborted, and the service's server is replaced before the next.
    let mut target = library.connect(Side::Monolith).await;
    run(&mut target, "UPDATE ficus.cursor SET system_identifier = 1 WHERE direction = 'reverse'")
        .await
        .unwrap();
    library.switch(Direction::Forward).await;
    let mut back = library.follower(Direction::Reverse).await;
    follow_until_verified(&mut back).await;
    library.assert_equal(Direction::Reverse).await;
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_target_has_or_has_otherwise_is_found() {
    let library = Library::installed("diff").await;
    let mut owner = library.connect(Side::Monolith).await;
    run(&mut owner, "INSERT INTO authors SELECT 'a' || n, 'name' FROM generate_series(1, 50) AS n")
        .await
        .unwrap();
    let mut follower = library.follower(Direction::Forward).await;
    follow_until_verified(&mut follower).await;
    assert_eq!(follower.verdict().rows_differing, 0);
    let mut target = library.connect(Side::Service).await;
    run(
        &mut target,
        "SET ficus.applier = 'on'; UPDATE people SET name = 'wrong' WHERE code = 'a7';
        INSERT INTO people VALUES ('extra', 'E'); DELETE FROM people WHERE code = 'a9'",
    )
    .await
    .unwrap();
    follower.verify_again().await.unwrap();
    follow_until_verified(&mut follower).await;
    let verdict = follower.verdict();
    assert_eq!(verdict.rows_differing, 2, "{verdict:?}");
    assert_eq!(verdict.differing[..2], ["people a7".to_owned(), "people a9".to_owned()]);
    assert!(!library.mover.preflight(Direction::Forward).await.unwrap().is_empty());

    run(&mut target, "INSERT INTO people VALUES ('a9', 'name'); UPDATE people SET name = 'name'")
        .await
        .unwrap();
    follower.verify_again().await.unwrap();
    follow_until_verified(&mut follower).await;
    assert_eq!(follower.verdict().differing, ["people: 1 rows more than the source"]);
    // A key that is dirtied is compared again, with what only the target has.
    run(&mut owner, "INSERT INTO authors VALUES ('extra', 'E')").await.unwrap();
    follow_until_verified(&mut follower).await;
    follower.verify_again().await.unwrap();
    follow_until_verified(&mut follower).await;
    assert_eq!(follower.verdict().rows_differing, 0);
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_the_target_cannot_hold_stops_the_follower_and_is_named() {
    let library = Library::installed("holds").await;
    let mut owner = library.connect(Side::Monolith).await;
    let mut follower = library.follower(Direction::Forward).await;
    follow_until_verified(&mut follower).await;
    run(&mut owner, "INSERT INTO copies VALUES ('x', 1, 'in'), ('x', 2, 'stolen')").await.unwrap();
    let stopped = follower.round(BUDGET).await.unwrap_err();
    let Error::Row { table, key, .. } = &stopped else { panic!("{stopped}") };
    assert_eq!((table.as_str(), key.as_str()), ("items", "x,2"));
    run(&mut owner, "UPDATE copies SET state = 'lost' WHERE nr = 2").await.unwrap();
    follow_until_verified(&mut library.follower(Direction::Forward).await).await;
    library.assert_equal(Direction::Forward).await;
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copied_column_left_stale_is_irreversible_until_it_is_mended() {
    let mut library = Library::installed("irreversible").await;
    let mut owner = library.connect(Side::Monolith).await;
    run(
        &mut owner,
        "INSERT INTO authors VALUES ('a', 'A'); INSERT INTO shelves VALUES ('s', 1, 'l');
        INSERT INTO books VALUES ('i', 's', 1, 'a', 'T')",
    )
    .await
    .unwrap();
    follow_until_verified(&mut library.follower(Direction::Forward).await).await;
    library.switch(Direction::Forward).await;
    let mut reverse = library.follower(Direction::Reverse).await;
    follow_until_verified(&mut reverse).await;
    let mut service = library.connect(Side::Service).await;
    run(&mut service, "UPDATE people SET name = 'renamed'").await.unwrap();
    let stopped = reverse.round(BUDGET).await.unwrap_err();
    let Error::Irreversible { table, key, .. } = &stopped else { panic!("{stopped}") };
    assert_eq!((table.as_str(), key.as_str()), ("titles", "i"));
    run(&mut service, "UPDATE titles SET author_name = 'renamed'").await.unwrap();
    follow_until_verified(&mut library.follower(Direction::Reverse).await).await;
    library.assert_equal(Direction::Reverse).await;
    library.close().await;
}

/// The log's keys and links of one table, in their order.
async fn logged(owner: &mut PgConnection, table: &str) -> Vec<String> {
    let text = "SELECT concat(key, links) FROM ficus.dirty WHERE tbl = $1 ORDER BY xid, id";
    let logged = sqlx::query_scalar(text).bind(table).fetch_all(&mut *owner).await.unwrap();
    run(owner, "DELETE FROM ficus.dirty").await.unwrap();
    logged
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_is_logged_by_what_leads_to_it_now_and_by_what_did_before() {
    let library = Library::installed("logged").await;
    let mut owner = library.connect(Side::Monolith).await;
    run(&mut owner, "INSERT INTO authors VALUES ('a', 'A'), ('b', 'B')").await.unwrap();
    logged(&mut owner, "authors").await;
    let (a, b, c) = (r#"{"code": "a"}"#, r#"{"code": "b"}"#, r#"{"code": "c"}"#);
    for (change, wanted) in [
        ("UPDATE authors SET name = 'N' WHERE code = 'a'", &[a][..]),
        ("UPDATE authors SET code = 'c' WHERE code = 'b'", &[c, b]),
        ("UPDATE authors SET code = code", &[a, c]),
        ("DELETE FROM authors WHERE code = 'a'", &[a]),
        ("INSERT INTO authors VALUES ('b', 'B')", &[b]),
        ("SET session_replication_role = replica; DELETE FROM authors WHERE code = 'c'", &[c]),
    ] {
        run(&mut owner, change).await.unwrap();
        assert_eq!(logged(&mut owner, "authors").await, wanted, "{change}");
    }
    run(
        &mut owner,
        "INSERT INTO authors VALUES ('a', 'A'); INSERT INTO shelves VALUES ('x', 1, 'L')",
    )
    .await
    .unwrap();
    let book =
        "INSERT INTO books (isbn, area, number, author, title) VALUES ('1', 'x', 1, 'a', 'T')";
    run(&mut owner, book).await.unwrap();
    let by = |author: &str| format!(r#"{{"isbn": "1"}}{{"author": "{author}"}}"#);
    assert_eq!(logged(&mut owner, "books").await, [by("a")]);
    run(&mut owner, "UPDATE books SET title = 'U'").await.unwrap();
    assert_eq!(logged(&mut owner, "books").await, [by("a")]);
    run(&mut owner, "UPDATE books SET author = 'b'").await.unwrap();
    assert_eq!(logged(&mut owner, "books").await, [by("b"), by("a")]);
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_or_truncated_table_needs_a_re_base() {
    let library = Library::installed("rebase").await;
    let mut owner = library.connect(Side::Monolith).await;
    let mut follower = library.follower(Direction::Forward).await;
    follow_until_verified(&mut follower).await;
    run(&mut owner, "ALTER TABLE loans ADD COLUMN more int").await.unwrap();
    assert!(matches!(follower.round(BUDGET).await, Err(Error::NeedsRebase { .. })));
    run(&mut owner, "ALTER TABLE loans DROP COLUMN more").await.unwrap();
    let mut follower = library.follower(Direction::Forward).await;
    follower.round(BUDGET).await.unwrap();
    run(&mut owner, "SET session_replication_role = replica; TRUNCATE loans").await.unwrap();
    assert!(matches!(follower.round(BUDGET).await, Err(Error::NeedsRebase { .. })));
    library.close().await;
}

/// As when a volume's snapshot is put back: the same server, on the same timeline.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_restored_to_an_earlier_point_needs_a_re_base() {
    let library = Library::installed("restored").await;
    let mut follower = library.follower(Direction::Forward).await;
    follow_until_verified(&mut follower).await;
    let mut target = library.connect(Side::Service).await;
    let later = "UPDATE ficus.cursor SET snap = replace('X:X:', 'X', (pg_snapshot_xmax(snap)::text::bigint + 1000000)::text)
                     ::pg_snapshot";
    run(&mut target, later).await.unwrap();
    let mut follower = library.follower(Direction::Forward).await;
    let refused = follower.round(BUDGET).await;
    let Err(Error::NeedsRebase { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("restored to an earlier point"), "{reason}");
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_pruned_beyond_the_cursor_needs_a_re_base() {
    let library = Library::installed("pruned").await;
    let mut owner = library.connect(Side::Monolith).await;
    let mut follower = library.follower(Direction::Forward).await;
    follow_until_verified(&mut follower).await;
    run(&mut owner, "INSERT INTO authors VALUES ('a', 'A')").await.unwrap();
    // Other tests' open transactions may keep the entry for a while.
    let (mut left, begun) = (1_i64, Instant::now());
    while left > 0 {
        assert!(begun.elapsed() < Duration::from_mins(1), "an open transaction keeps the entry");
        run(&mut owner, "SELECT ficus.prune('catalogue', pg_current_snapshot())").await.unwrap();
        let count = sqlx::query_scalar("SELECT count(*) FROM ficus.dirty");
        left = count.fetch_one(&mut owner).await.unwrap();
    }
    assert!(matches!(follower.round(BUDGET).await, Err(Error::NeedsRebase { .. })));
    library.close().await;
}

#[test]
fn a_cursor_that_goes_by_the_last_id_is_noticed() {
    noticed("cursor-by-id", "a_low_id_that_commits_late_is_not_skipped", &["left == right"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_works_on_the_source_while_it_is_copied_is_seen() {
    let mut library = Library::new("customers").await;
    let mut owner = library.connect(Side::Monolith).await;
    run(&mut owner, "INSERT INTO authors SELECT 'a' || n, 'A' FROM generate_series(1, 20000) AS n")
        .await
        .unwrap();
    library.install().await;
    let mut follower = library.follower(Direction::Forward).await;
    for _ in 0..3 {
        assert!(!is_beside_others(&mut follower).await, "nobody is there");
    }
    let customer = tokio::spawn(async move {
        loop {
            run(&mut owner, "SELECT pg_sleep(0.05)").await.unwrap();
        }
    });
    assert!(comes_to(&mut follower, true).await, "the customer is not seen");
    customer.abort();
    assert!(comes_to(&mut follower, false).await, "who is gone is still seen");
    library.close().await;
}

async fn comes_to(follower: &mut Follower, wanted: bool) -> bool {
    for _ in 0..100 {
        if is_beside_others(follower).await == wanted {
            return true;
        }
    }
    false
}

/// What the next round says that copies or compares something.
async fn is_beside_others(follower: &mut Follower) -> bool {
    loop {
        if follower.phase() == Phase::Following {
            follower.verify_again().await.unwrap();
        }
        let round = follower.round(BUDGET).await.unwrap();
        if round.copied + round.verified > 0 {
            return round.beside_others;
        }
    }
}
