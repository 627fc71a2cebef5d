//! What prepare refuses, and what cancel and complete leave.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use ficus_mover::{Direction, FenceState, Side};
use support::{Library, follow_until_verified, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_sound_move_is_not_refused() {
    let library = Library::new("sound").await;
    let mut owner = library.connect(Side::Monolith).await;
    run(&mut owner, "INSERT INTO authors VALUES ('a', 'A'); INSERT INTO shelves VALUES ('s', 1, 'l');
        INSERT INTO books VALUES ('i', 's', 1, 'a', 'T', 12.50, '{x,NULL}'); INSERT INTO loans (isbn) VALUES ('i')").await.unwrap();
    assert_eq!(library.mover.refusals().await.unwrap(), vec![]);
    let mut service = library.connect(Side::Service).await;
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM lendings").fetch_one(&mut service).await.unwrap();
    assert_eq!(rows, 0, "the trial left something");
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_moved_is_refused_by_name() {
    let cases = [
        (Side::Monolith, "ALTER TABLE loans DROP CONSTRAINT loans_pkey", "loans", "no primary key"),
        (Side::Service, "ALTER TABLE lendings SET UNLOGGED", "lendings", "unlogged"),
        (Side::Monolith, "CREATE TABLE more () INHERITS (loans)", "loans", "inheritance"),
        (
            Side::Monolith,
            "CREATE TABLE fines (book text REFERENCES books)",
            "books",
            "fines_book_fkey",
        ),
        (
            Side::Service,
            "CREATE TABLE towns (id int PRIMARY KEY); ALTER TABLE lendings ADD town int REFERENCES towns",
            "lendings",
            "lendings_town_fkey",
        ),
        (
            Side::Monolith,
            "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER t BEFORE INSERT ON loans FOR EACH ROW EXECUTE FUNCTION f()",
            "loans",
            "trigger t",
        ),
        (
            Side::Monolith,
            "CREATE TABLE other (id bigint DEFAULT nextval('loans_id_seq'))",
            "loans_id_seq",
            "another capability",
        ),
        (
            Side::Service,
            "CREATE SEQUENCE s; ALTER TABLE items ALTER nr SET DEFAULT nextval('s')",
            "s",
            "does not name it",
        ),
        (Side::Service, "INSERT INTO people VALUES ('a', 'A')", "people", "not empty"),
        (
            Side::Service,
            "ALTER TABLE titles ALTER author_code DROP NOT NULL",
            "titles",
            "author_code may be null",
        ),
        (Side::Service, "ALTER TABLE people ADD nick text", "people", "lacks nick"),
        (Side::Service, "ALTER TABLE people ALTER born TYPE text", "people", "born is date"),
        (Side::Monolith, "INSERT INTO copies VALUES ('x', 1, 'stolen')", "items", "cannot hold"),
        (
            Side::Monolith,
            "ALTER TABLE authors RENAME TO real; CREATE VIEW authors AS SELECT * FROM real",
            "authors",
            "no ordinary table",
        ),
        (
            Side::Service,
            "CREATE TABLE towns (id int); CREATE VIEW v AS SELECT * FROM towns; DROP TABLE titles; CREATE VIEW titles AS SELECT * FROM v",
            "titles",
            "no ordinary table",
        ),
        // A book without an author would not come back: the projection joins.
        (
            Side::Monolith,
            "ALTER TABLE books DROP CONSTRAINT books_author_fkey; INSERT INTO shelves VALUES ('s', 1, 'l'); INSERT INTO books VALUES ('i', 's', 1, 'nobody', 'T')",
            "books",
            "row i does not survive",
        ),
    ];
    let library = Library::new("refused").await;
    for (side, change, name, reason) in cases {
        library.reset().await;
        let mut session = library.connect(side).await;
        run(&mut session, change).await.unwrap();
        let refusals = library.mover.refusals().await.unwrap();
        let found = refusals.iter().any(|r| r.name == name && r.reason.contains(reason));
        assert!(found, "{change}: {refusals:#?}");
    }
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_move_leaves_no_trace_and_can_begin_again() {
    let mut library = Library::installed("cancel").await;
    let mut owner = library.connect(Side::Monolith).await;
    run(&mut owner, "INSERT INTO authors VALUES ('a', 'A')").await.unwrap();
    follow_until_verified(&mut library.follower(Direction::Forward).await).await;
    for _ in 0..2 {
        library.raise().await;
        library.mover.empty_target(library.attempt).await.unwrap();
        library.mover.uninstall(library.attempt, false).await.unwrap();
    }
    for side in [Side::Monolith, Side::Service] {
        let mut session = library.connect(side).await;
        let left: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM pg_trigger WHERE tgname LIKE 'ficus%')
                  + (SELECT count(*) FROM pg_views WHERE schemaname = 'ficus')
                  + (SELECT count(*) FROM ficus.dirty) + (SELECT count(*) FROM ficus.cursor)",
        )
        .fetch_one(&mut session)
        .await
        .unwrap();
        assert_eq!(left, 0, "{side}");
        assert_eq!(library.mover.fence_state(side).await.unwrap(), FenceState::Absent);
    }
    assert_eq!(library.mover.refusals().await.unwrap(), vec![]);
    library.raise().await;
    library.mover.install(library.attempt, library.epoch, Side::Monolith).await.unwrap();
    follow_until_verified(&mut library.follower(Direction::Forward).await).await;
    library.assert_equal(Direction::Forward).await;
    library.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_completed_move_leaves_the_old_tables_shut_and_aside() {
    let mut library = Library::installed("complete").await;
    let mut owner = library.connect(Side::Monolith).await;
    run(&mut owner, "INSERT INTO authors VALUES ('a', 'A')").await.unwrap();
    follow_until_verified(&mut library.follower(Direction::Forward).await).await;
    library.switch(Direction::Forward).await;
    assert!(!library.mover.preflight_complete().await.unwrap().is_empty(), "no reverse diff yet");
    follow_until_verified(&mut library.follower(Direction::Reverse).await).await;
    assert_eq!(library.mover.preflight_complete().await.unwrap(), vec![]);
    for _ in 0..2 {
        library.raise().await;
        library.mover.complete(library.attempt).await.unwrap();
    }
    let refused = run(&mut owner, "DELETE FROM authors_retired_by_ficus").await.unwrap_err();
    assert!(ficus_pg::fenced(&refused).is_some(), "{refused}");
    let mut service = library.connect(Side::Service).await;
    run(&mut service, "UPDATE people SET name = 'B'").await.unwrap();
    library.close().await;
}
