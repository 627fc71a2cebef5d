//! A switch in a real control database.

use std::time::{Duration, Instant};

use ficus_owners::{Owners, Role};
use ficus_pg::Pool;
use http::{Method, StatusCode};
use sqlx::migrate::Migrator;
use trellis_testkit::{Database, Migrations, Server, database, unique, wait_until};

use crate::{
    monolith::Say,
    stand::{LIMITS, Stand},
};

static CONTROL: Migrator = sqlx::migrate!("../controller/migrations");

async fn start() -> (Database, Pool, Stand) {
    let migrations = [Migrations { migrator: &CONTROL, table: "_sqlx_migrations" }];
    let database = database(Server::Second, &migrations).await;
    let pool = database.pool().await;
    change(&pool, "INSERT INTO move (capability, definition) VALUES ('notifications', '{}')").await;
    let capabilities = ["notifications".to_owned()];
    let name = unique("gateway");
    let owners = Owners::start(database.url(), &name, Role::Gateway, capabilities).await;
    let stand = Stand::with(owners.unwrap(), LIMITS).await;
    (database, pool, stand)
}

async fn change(pool: &Pool, statement: &'static str) {
    assert_eq!(sqlx::query(statement).execute(pool).await.unwrap().rows_affected(), 1);
}

async fn is(pool: &Pool, condition: &'static str) -> bool {
    sqlx::query_scalar(condition).fetch_one(pool).await.unwrap()
}

const PENDING: &str = "UPDATE move SET pending = '00000000-0000-0000-0000-000000000007',
                       pending_until = clock_timestamp() + interval '3 s'";
const SWITCH: &str = "UPDATE move SET owner = 'service', epoch = epoch + 1, pending = NULL,
                      pending_until = NULL";

#[tokio::test]
async fn a_switch_under_requests_fails_none_and_its_end_is_felt_at_once() {
    let (_database, pool, stand) = start().await;
    assert_eq!(stand.get("/v1/inbox").await.status, StatusCode::OK);

    change(&pool, PENDING).await;
    let quiet = "SELECT quiet AND pending IS NOT NULL FROM picker";
    let soon = Duration::from_secs(2);
    wait_until("pending is acknowledged", soon, async || is(&pool, quiet).await).await;
    stand.monolith.says([Say::Fenced; 1_000]);
    let write = stand.begin(Method::POST, "/v1/inbox/7/read", "{}");
    wait_until("the fence is met", soon, async || !stand.monolith.asked().is_empty()).await;

    let switched = Instant::now();
    change(&pool, SWITCH).await;
    assert_eq!(write.await.unwrap().status, StatusCode::OK);
    assert!(switched.elapsed() < Duration::from_millis(300), "{:?}", switched.elapsed());
    assert_eq!(stand.service.written(), [7]);
    let acknowledged = "SELECT epoch = 2 FROM picker";
    wait_until("the epoch is acknowledged", soon, async || is(&pool, acknowledged).await).await;
    assert!(stand.get("/v1/inbox?page_size=9").await.body.contains(r#""id":9"#));
}

#[tokio::test]
async fn a_control_database_that_goes_away_changes_nothing() {
    let (database, pool, stand) = start().await;
    change(&pool, SWITCH).await;
    let moved = async || stand.get("/v1/inbox").await.body.contains("notifications");
    wait_until("the service answers", Duration::from_secs(30), moved).await;
    pool.close().await;
    drop(database);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(stand.get("/v1/inbox?page_size=9").await.body.contains(r#""id":9"#));
}
