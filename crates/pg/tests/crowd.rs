//! A server that was away and comes back to more callers than there are connections.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use ficus_pg::Pool;
use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    time::{interval, sleep},
};
use trellis_testkit::{Database, Server, database, free_address, wait_until};

/// Connecting takes so long, as it does where the machine has much else to do.
const SLOW: Duration = Duration::from_millis(300);
/// Between two callers: of two connections each has to be made in 50 ms, or those who wait become ever more.
const APART: Duration = Duration::from_millis(25);
/// Longer than anybody waits.
const AWAY: Duration = Duration::from_secs(4);
/// So soon all is as before; the rest is for a busy machine.
const SOON: Duration = Duration::from_secs(6);

/// A pool of two connections to a server that is not there yet, and where that is to be.
async fn away() -> (Pool, SocketAddr, Database) {
    let database = database(Server::First, &[]).await;
    let address = free_address();
    let options: PgConnectOptions = database.url().parse().expect("a URL");
    let options = options.host("127.0.0.1").port(address.port());
    let pool = ficus_pg::connect(options.to_url_lossy().as_str(), "test", 2).expect("a URL");
    (pool, address, database)
}

/// Carries connections to the server, each one slowly at first.
async fn come_back(address: SocketAddr, url: String) {
    let server: PgConnectOptions = url.parse().expect("a URL");
    let listener = TcpListener::bind(address).await.expect("it is free");
    while let Ok((mut near, _)) = listener.accept().await {
        let server = (server.get_host().to_owned(), server.get_port());
        tokio::spawn(async move {
            sleep(SLOW).await;
            let mut far = TcpStream::connect(server).await.expect("a server");
            let _ = copy_bidirectional(&mut near, &mut far).await;
        });
    }
}

/// What came of those who asked.
#[derive(Default)]
struct Counted {
    answered: AtomicU64,
    refused: AtomicU64,
}

async fn crowd(pool: Pool, counted: Arc<Counted>) {
    let mut next = interval(APART);
    loop {
        next.tick().await;
        let (pool, counted) = (pool.clone(), counted.clone());
        tokio::spawn(async move {
            let answer = sqlx::query("SELECT 1").execute(&pool).await;
            let count = if answer.is_ok() { &counted.answered } else { &counted.refused };
            count.fetch_add(1, Ordering::Relaxed);
        });
    }
}

#[tokio::test]
async fn a_server_that_comes_back_is_connected_to_however_many_wait() {
    let (pool, address, database) = away().await;
    let counted = Arc::<Counted>::default();
    let crowding = tokio::spawn(crowd(pool, counted.clone()));
    sleep(AWAY).await;
    assert_eq!(counted.answered.load(Ordering::Relaxed), 0);
    let back = tokio::spawn(come_back(address, database.url().to_owned()));
    wait_until("somebody is answered", SOON, async || counted.answered.load(Ordering::Relaxed) > 0)
        .await;
    wait_until("nobody is refused any more", SOON, async || {
        let refused = counted.refused.load(Ordering::Relaxed);
        sleep(Duration::from_secs(1)).await;
        counted.refused.load(Ordering::Relaxed) == refused
    })
    .await;
    crowding.abort();
    back.abort();
}

#[tokio::test]
async fn a_connection_that_nobody_waits_for_any_more_is_made_all_the_same() {
    let (pool, address, database) = away().await;
    let back = tokio::spawn(come_back(address, database.url().to_owned()));
    let impatient = sqlx::query("SELECT 1").execute(&pool);
    tokio::time::timeout(SLOW / 3, impatient).await.expect_err("it connects for longer");
    wait_until("the connection is at rest", SOON, async || pool.num_idle() == 1).await;
    back.abort();
}
