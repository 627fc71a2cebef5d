//! A picker and the control database.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::time::{Duration, Instant};

use ficus_owners::{Owners, Role, Side, View};
use sqlx::migrate::Migrator;
use trellis_testkit::{Database, Line, Migrations, Pool, Server, database, wait_until};
use uuid::Uuid;

static CONTROL: Migrator = sqlx::migrate!("../../services/controller/migrations");
const PENDING: Uuid = Uuid::from_u128(42);

struct Control {
    database: Database,
    pool: Pool,
}

impl Control {
    async fn new() -> Self {
        let migrations = Migrations { migrator: &CONTROL, table: "_sqlx_migrations_controller" };
        let database = database(Server::Second, &[migrations]).await;
        let pool = database.pool().await;
        Self { database, pool }
    }

    async fn picker(&self) -> Owners {
        Self::picker_at(self.database.url()).await
    }

    async fn picker_at(url: &str) -> Owners {
        let capabilities = ["ledger".to_owned(), "other".to_owned()];
        let start = Owners::start(url, "gateway-0", Role::Gateway, capabilities);
        tokio::time::timeout(Duration::from_secs(5), start).await.unwrap().unwrap()
    }

    async fn run(&self, statement: &'static str) {
        assert_eq!(sqlx::query(statement).execute(&self.pool).await.unwrap().rows_affected(), 1);
    }

    async fn create(&self) {
        self.run("INSERT INTO move (capability, definition) VALUES ('ledger', '{}')").await;
    }

    async fn pending(&self) {
        self.run(
            "UPDATE move SET pending = '00000000-0000-0000-0000-00000000002a',
                             pending_until = clock_timestamp() + interval '3 s'",
        )
        .await;
    }

    /// What the picker has acknowledged for `ledger`.
    async fn acknowledged(&self) -> (i64, Option<Uuid>, bool) {
        let query = "SELECT epoch, pending, quiet FROM picker
                      WHERE picker = 'gateway-0' AND capability = 'ledger' AND role = 'gateway'";
        sqlx::query_as(query).fetch_one(&self.pool).await.unwrap()
    }

    async fn until_acknowledged(&self, wanted: (i64, Option<Uuid>, bool)) {
        let what = format!("{wanted:?} is to be acknowledged");
        wait_until(&what, Duration::from_secs(30), async || self.acknowledged().await == wanted)
            .await;
    }
}

#[tokio::test]
async fn a_capability_without_a_move_is_the_monoliths_at_epoch_0() {
    let control = Control::new().await;
    let owners = control.picker().await;
    assert_eq!(owners.view("ledger"), View::NO_MOVE);
    assert!(owners.may_read("ledger"));
    assert!(owners.may_work("ledger", Side::Monolith).is_some());
    assert!(owners.may_work("ledger", Side::Service).is_none());
    control.until_acknowledged((0, None, true)).await;
}

#[tokio::test]
async fn a_new_owner_is_acted_on_and_then_acknowledged() {
    let control = Control::new().await;
    let owners = control.picker().await;
    control.create().await;
    control.until_acknowledged((1, None, true)).await;
    control.run("UPDATE move SET owner = 'service', epoch = 2").await;
    control.until_acknowledged((2, None, true)).await;
    assert_eq!(owners.view("ledger").owner, Side::Service);
    assert_eq!(owners.view("other"), View::NO_MOVE);
}

#[tokio::test]
async fn a_row_of_an_earlier_epoch_takes_the_owner_from_nobody_who_knows_it() {
    let control = Control::new().await;
    let owners = control.picker().await;
    control.create().await;
    control.run("UPDATE move SET owner = 'service', epoch = 2").await;
    control.until_acknowledged((2, None, true)).await;
    let mut words = owners.subscribe("ledger");
    control.run("UPDATE move SET owner = 'monolith', epoch = 1").await;
    for _ in 0..2 {
        words.changed().await.unwrap();
    }
    let view = owners.view("ledger");
    assert_eq!((view.owner, view.epoch), (Side::Service, 2));
    control.run("UPDATE move SET owner = 'monolith', epoch = 3").await;
    control.until_acknowledged((3, None, true)).await;
}

#[tokio::test]
async fn pending_is_acknowledged_within_milliseconds_and_quiet_when_earlier_writes_have_ended() {
    let control = Control::new().await;
    let owners = control.picker().await;
    control.create().await;
    control.until_acknowledged((1, None, true)).await;
    let write = owners.begin("ledger");
    let start = Instant::now();
    control.pending().await;
    while control.acknowledged().await.1 != Some(PENDING) {}
    println!("pending acknowledged after {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_millis(500));
    assert_eq!(control.acknowledged().await, (1, Some(PENDING), false));
    assert_eq!(owners.view("ledger").pending, Some(PENDING));
    assert!(owners.may_work("ledger", Side::Monolith).is_none());
    drop(write);
    control.until_acknowledged((1, Some(PENDING), true)).await;
}

#[tokio::test]
async fn while_pending_is_in_the_row_it_is_renewed_and_reads_go_on() {
    let control = Control::new().await;
    let owners = control.picker().await;
    control.create().await;
    control.pending().await;
    control.until_acknowledged((1, Some(PENDING), true)).await;
    let mut words = owners.subscribe("ledger");
    let start = Instant::now();
    for _ in 0..10 {
        words.changed().await.unwrap();
    }
    assert!(start.elapsed() > Duration::from_millis(300), "ten renewals in {:?}", start.elapsed());
    assert!(owners.may_read("ledger"));
}

#[tokio::test]
async fn a_first_registration_waits_for_a_change_that_is_under_way() {
    let control = Control::new().await;
    control.create().await;
    let mut change = control.pool.begin().await.unwrap();
    sqlx::query("UPDATE move SET owner = 'service', epoch = 2")
        .execute(&mut *change)
        .await
        .unwrap();
    let mut starting = Box::pin(control.picker());
    let early = tokio::time::timeout(Duration::from_millis(300), &mut starting).await;
    assert!(early.is_err(), "the picker read move beside a change of it");
    change.commit().await.unwrap();
    assert_eq!(starting.await.view("ledger").epoch, 2);
}

#[tokio::test]
async fn a_lost_connection_keeps_the_last_view_and_is_made_again() {
    let control = Control::new().await;
    control.create().await;
    let owners = control.picker().await;
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
                WHERE datname = current_database() AND application_name LIKE 'ficus-owners%'";
    let ended: i64 = sqlx::query_scalar(end).fetch_one(&control.pool).await.unwrap();
    assert!(ended > 0);
    assert_eq!(owners.view("ledger").epoch, 1);
    control.run("UPDATE move SET owner = 'service', epoch = 2").await;
    control.until_acknowledged((2, None, true)).await;
}

#[tokio::test]
async fn who_leaves_is_waited_for_no_longer() {
    let control = Control::new().await;
    let owners = control.picker().await;
    owners.leave().await;
    let left: i64 =
        sqlx::query_scalar("SELECT count(*) FROM picker").fetch_one(&control.pool).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_picker_listens_again_after_the_servers_host_was_lost() {
    let control = Control::new().await;
    let line = Line::to(control.database.url()).await;
    let _owners = Control::picker_at(line.url()).await;
    let listens = async || {
        let query = "SELECT count(*) FROM pg_stat_activity
                      WHERE datname = current_database() AND query LIKE 'LISTEN%'";
        sqlx::query_scalar::<_, i64>(query).fetch_one(&control.pool).await.unwrap() == 1
    };
    wait_until("the picker is to listen", Duration::from_secs(30), listens).await;
    line.lose_the_server();
    wait_until("the lost session is to end", Duration::from_secs(30), async || !listens().await)
        .await;
    wait_until("the picker is to listen again", Duration::from_secs(30), listens).await;
}

#[tokio::test]
async fn two_processes_of_one_name_do_not_acknowledge_for_each_other() {
    let control = Control::new().await;
    control.create().await;
    let elder = control.picker().await;
    control.until_acknowledged((1, None, true)).await;
    let younger = control.picker().await;
    let under_way = elder.begin("ledger");
    let who = "SELECT picker, pending IS NOT NULL AND quiet FROM picker
                WHERE capability = 'ledger' ORDER BY picker";
    let known = async || -> Vec<(String, bool)> {
        sqlx::query_as(who).fetch_all(&control.pool).await.unwrap()
    };
    wait_until("both are known", Duration::from_secs(30), async || known().await.len() == 2).await;
    control.pending().await;
    let quiet = async || known().await.iter().map(|(_, quiet)| *quiet).eq([true, false]);
    wait_until("the younger alone is quiet", Duration::from_secs(30), quiet).await;
    let names = known().await;
    assert_eq!((&*names[0].0, &*names[1].0), ("gateway-0", "gateway-0~2"));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(quiet().await, "the elder has something under way");
    drop(under_way);
    let both = async || known().await.iter().all(|(_, quiet)| *quiet);
    wait_until("both are quiet", Duration::from_secs(30), both).await;
    younger.leave().await;
    assert_eq!(known().await, [(names[1].0.clone(), true)], "the other is known still");
    elder.leave().await;
    assert_eq!(known().await, []);
}
