//! A person's statement that locks a table in use.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use ficus_mover::Side;
use sqlx::Connection as _;
use support::{Library, connect, run};

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
