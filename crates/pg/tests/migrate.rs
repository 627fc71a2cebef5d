//! Migrations and transactions on a real database, by a role that is called as the engine's schema.

use ficus_pg::Migrations;
use sqlx::migrate::Migrator;
use trellis_testkit::{Server, database};

static MIGRATOR: Migrator = sqlx::migrate!("tests/migrations");

const fn things() -> [Migrations; 1] {
    [Migrations { migrator: &MIGRATOR, table: "_migrations_things" }]
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    let database = database(Server::First, &things()).await;
    ficus_pg::migrate(database.url(), &things()).await.expect("nothing is left to run");

    let pool = ficus_pg::connect(database.url(), "test", 1).expect("a URL");
    let schemas: Vec<String> =
        sqlx::query_scalar("SELECT schemaname::text FROM pg_tables WHERE tablename = 'things'")
            .fetch_all(&pool)
            .await
            .expect("the tables' schemas");
    assert_eq!(schemas, ["public"]);
    let path: String =
        sqlx::query_scalar("SHOW search_path").fetch_one(&pool).await.expect("a setting");
    assert_eq!(path, "public");
}

#[tokio::test]
async fn a_transaction_that_is_dropped_leaves_nothing() {
    let database = database(Server::First, &things()).await;
    let pool = ficus_pg::connect(database.url(), "test", 1).expect("a URL");
    let mut dropped = ficus_pg::begin(&pool, "dropped").await.expect("a transaction");
    sqlx::query("INSERT INTO things DEFAULT VALUES").execute(&mut *dropped).await.expect("a row");
    drop(dropped);
    let mut kept = ficus_pg::begin(&pool, "kept").await.expect("a transaction");
    sqlx::query("INSERT INTO things DEFAULT VALUES").execute(&mut *kept).await.expect("a row");
    kept.commit().await.expect("a commit");
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM things").fetch_one(&pool).await.expect("a count");
    assert_eq!(rows, 1);
}

/// Polls a future a given number of times and drops it.
async fn dropped_after(polls: usize, work: impl Future) {
    let mut work = std::pin::pin!(work);
    for _ in 0..polls {
        let ready = std::future::poll_fn(|context| {
            std::task::Poll::Ready(work.as_mut().poll(context).is_ready())
        });
        if ready.await {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_beginning_that_is_dropped_half_way_leaves_no_transaction_open() {
    let database = database(Server::First, &things()).await;
    let pool = ficus_pg::connect(database.url(), "test", 1).expect("a URL");
    for polls in 1..8 {
        dropped_after(polls, ficus_pg::begin(&pool, "dropped")).await;
        sqlx::query("INSERT INTO things DEFAULT VALUES").execute(&pool).await.expect("a row");
    }
    let other = ficus_pg::connect(database.url(), "other", 1).expect("a URL");
    let rows: i64 =
        sqlx::query_scalar("SELECT count(*) FROM things").fetch_one(&other).await.expect("a count");
    assert_eq!(rows, 7, "every row is committed");
}
