//! A server whose host is gone: what was connected stays open and silent for ever, what connects anew is answered.

use std::time::{Duration, Instant};

use ficus_pg::Pool;
use tokio::time::timeout;
use trellis_testkit::{Database, Line, Server, database, wait_until};

/// Who waits for a statement gives up so soon.
const GIVEN_UP: Duration = Duration::from_millis(200);
/// A connection goes back to its pool within 5 s or is closed; the rest is for a busy machine.
const FREE: Duration = Duration::from_secs(8);

/// A pool of one connection, which is open and just going back, and what can be lost of it.
async fn pool() -> (Line, Pool, Database) {
    let database = database(Server::First, &[]).await;
    let line = Line::to(database.url()).await;
    let pool = ficus_pg::connect(line.url(), "test", 1).expect("a URL");
    ask(&pool).await.expect("an answer");
    (line, pool, database)
}

async fn ask(pool: &Pool) -> sqlx::Result<()> {
    sqlx::query("SELECT 1").execute(pool).await.map(drop)
}

/// What is idle for longer than 750 ms is asked before it is lent.
const IDLE: Duration = Duration::from_secs(2);

async fn is_free_in_time(pool: &Pool) {
    let begun = Instant::now();
    while let Err(error) = ask(pool).await {
        assert!(matches!(error, sqlx::Error::PoolTimedOut), "{error}");
        assert!(begun.elapsed() < FREE, "the pool's connection is held");
    }
}

#[tokio::test]
async fn a_statement_that_is_given_up_frees_its_connection() {
    let (line, pool, _database) = pool().await;
    line.lose_the_server();
    timeout(GIVEN_UP, ask(&pool)).await.expect_err("no answer");
    is_free_in_time(&pool).await;
}

#[tokio::test]
async fn a_transaction_that_cannot_begin_fails_in_time_and_frees_its_connection() {
    let (line, pool, _database) = pool().await;
    let mut failed = None;
    while failed.is_none() {
        wait_until("the connection is at rest", FREE, async || pool.num_idle() == 1).await;
        line.lose_the_server();
        let begun = timeout(FREE, ficus_pg::begin(&pool, "silent")).await;
        match begun.expect("an answer in time") {
            // This thread had no turn for a while, and the connection was asked before.
            Ok(transaction) => transaction.rollback().await.expect("an end"),
            Err(error) => failed = Some(error),
        }
    }
    assert!(matches!(failed, Some(sqlx::Error::PoolTimedOut)));
    ficus_pg::begin(&pool, "anew")
        .await
        .expect("another connection")
        .rollback()
        .await
        .expect("an end");
}

#[tokio::test]
async fn a_connection_that_broke_while_it_was_idle_is_not_lent() {
    let (line, pool, database) = pool().await;
    let idle = async || tokio::time::sleep(IDLE).await;
    idle().await;
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE application_name = 'test' AND datname = current_database()",
    )
    .execute(&mut database.connect().await)
    .await
    .expect("an end");
    ask(&pool).await.expect("another connection");
    idle().await;
    line.lose_the_server();
    ask(&pool).await.expect("another connection");
}

#[tokio::test]
async fn a_transaction_that_is_dropped_frees_its_connection() {
    let (line, pool, _database) = pool().await;
    let transaction = ficus_pg::begin(&pool, "dropped").await.expect("a transaction");
    line.lose_the_server();
    drop(transaction);
    is_free_in_time(&pool).await;
}

#[tokio::test]
async fn a_session_goes_back_to_its_pool() {
    let (_line, pool, _database) = pool().await;
    let session = async || {
        let mut transaction = ficus_pg::begin(&pool, "which").await.expect("a transaction");
        let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()")
            .fetch_one(&mut *transaction)
            .await
            .expect("a number");
        (transaction, pid)
    };
    let (committed, first) = session().await;
    committed.commit().await.expect("a commit");
    let (dropped, second) = session().await;
    drop(dropped);
    let (_rolled_back, third) = session().await;
    assert_eq!([first, second], [third; 2]);
}
