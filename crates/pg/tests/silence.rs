//! A server whose host is gone: what was connected stays open and silent for ever, what connects anew is answered.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use ficus_pg::on;
use sqlx::{ConnectOptions, PgPool, postgres::PgConnectOptions};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use trellis_testkit::{Database, Server, database, wait_until};

/// Who waits for a statement gives up so soon.
const GIVEN_UP: Duration = Duration::from_millis(200);
/// A connection goes back to its pool within 5 s or is closed; the rest is for a busy machine.
const FREE: Duration = Duration::from_secs(8);

/// What carries connections to the server.
struct Line {
    url: String,
    gone: watch::Sender<()>,
    _database: Database,
}

impl Line {
    async fn new() -> Self {
        let database = database(Server::First, &[]).await;
        let options: PgConnectOptions = database.url().parse().expect("a URL");
        let server = (options.get_host().to_owned(), options.get_port());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a listener");
        let port = listener.local_addr().expect("an address").port();
        let gone = watch::Sender::new(());
        let seen = gone.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (server, mut gone) = (server.clone(), seen.subscribe());
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(server).await.expect("the server accepts");
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        _ = gone.changed() => {
                            drop(far);
                            std::future::pending::<()>().await;
                        }
                    }
                });
            }
        });
        let options = options.host("127.0.0.1").port(port);
        let url = ConnectOptions::to_url_lossy(&options).to_string();
        Self { url, gone, _database: database }
    }

    /// A pool of one connection, which is open and just going back.
    async fn pool(&self) -> PgPool {
        let pool = ficus_pg::connect(&self.url, "test", 1).expect("a URL");
        ask(&pool).await.expect("an answer");
        pool
    }

    fn lose_the_server(&self) {
        self.gone.send_replace(());
    }
}

async fn ask(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::query("SELECT 1").execute(on(pool)).await.map(drop)
}

async fn is_free_in_time(pool: &PgPool) {
    let begun = Instant::now();
    while let Err(error) = ask(pool).await {
        assert!(matches!(error, sqlx::Error::PoolTimedOut), "{error}");
        assert!(begun.elapsed() < FREE, "the pool's connection is held");
    }
}

#[tokio::test]
async fn a_statement_that_is_given_up_frees_its_connection() {
    let line = Line::new().await;
    let pool = line.pool().await;
    line.lose_the_server();
    timeout(GIVEN_UP, ask(&pool)).await.expect_err("no answer");
    is_free_in_time(&pool).await;
}

#[tokio::test]
async fn a_transaction_that_cannot_begin_fails_in_time_and_frees_its_connection() {
    let line = Line::new().await;
    let pool = line.pool().await;
    wait_until("the connection is at rest", FREE, async || pool.num_idle() == 1).await;
    line.lose_the_server();
    let begun = timeout(FREE, ficus_pg::begin(&pool, "silent")).await.expect("an answer in time");
    assert!(matches!(begun.err(), Some(sqlx::Error::PoolTimedOut)));
    ficus_pg::begin(&pool, "anew")
        .await
        .expect("another connection")
        .rollback()
        .await
        .expect("an end");
}

#[tokio::test]
async fn a_transaction_that_is_dropped_frees_its_connection() {
    let line = Line::new().await;
    let pool = line.pool().await;
    let transaction = ficus_pg::begin(&pool, "dropped").await.expect("a transaction");
    line.lose_the_server();
    drop(transaction);
    is_free_in_time(&pool).await;
}

#[tokio::test]
async fn a_session_goes_back_to_its_pool() {
    let line = Line::new().await;
    let pool = line.pool().await;
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
