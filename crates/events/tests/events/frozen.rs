//! A leader that is stopped in the middle of its work, replaced and woken writes nothing.

use std::time::Duration;

use ficus_events::Relay;
use ficus_owners::Side;
use ficus_process::Shutdown;
use futures::StreamExt as _;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::{PgPool, postgres::PgConnectOptions};
use trellis_testkit::{Program, kafka, setting, wait_until};

use crate::{
    bench::{Bench, CAPABILITY, PATIENCE, owners},
    order::assert_in_order,
};

/// `FICUS_TRIALS=200` for a run by hand.
const TRIALS: u64 = 10;
const SIDE_BY_SIDE: usize = 10;
const DATABASE: &str = "FROZEN_DATABASE";

/// What the woken one writes as if it were still the leader.
const WATCH: &str = "
    CREATE TABLE written_late (id bigserial);
    CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF current_setting('application_name') = 'woken' AND NEW.holder <> 'woken' THEN
            INSERT INTO written_late DEFAULT VALUES;
        END IF;
        RETURN NULL;
    END $$;
    CREATE TRIGGER watch AFTER UPDATE ON ficus.relay FOR EACH ROW EXECUTE FUNCTION watch();";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the relay's process that the next test stops; it runs until it is killed"]
async fn process() {
    let options: PgConnectOptions = std::env::var(DATABASE).unwrap().parse().unwrap();
    let pool = PgPool::connect_with(options.application_name("woken")).await.unwrap();
    Relay::new(&pool.into(), kafka(), CAPABILITY, "woken").run(Shutdown::new()).await;
}

fn start(bench: &Bench, failpoint: &str) -> Program {
    let arguments = ["--exact", "frozen::process", "--ignored", "--nocapture"];
    let url = bench.database.url().to_owned();
    let environment = [(DATABASE, url), ("FICUS_FAILPOINTS", format!("{failpoint}=stop"))];
    Program::start(std::env::current_exe().unwrap(), arguments, environment)
}

fn is_stopped(program: &Program) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{}/stat", program.id())).unwrap();
    status.rsplit(") ").next().is_some_and(|rest| rest.starts_with('T'))
}

async fn trial(failpoint: &str) {
    let mut bench = Bench::new().await;
    bench.run(WATCH).await;
    let frozen = start(&bench, failpoint);
    bench.start_consumer(&owners(Side::Monolith), Side::Monolith);
    for _ in 0..3 {
        bench.write_one("book", b"").await;
    }
    wait_until("the leader is to stop", PATIENCE, async || is_stopped(&frozen)).await;
    bench.start_relay("second");
    bench.wait_for_relay().await;

    kill(Pid::from_raw(i32::try_from(frozen.id()).unwrap()), Signal::SIGCONT).unwrap();
    // As long as a lease lasts; there is no condition to wait for.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    bench.write_one("book", b"").await;
    let applied = bench.wait_for_applied(4).await;
    assert_eq!(applied.len(), 4);
    assert_in_order(&applied);
    assert_eq!(bench.number("SELECT count(*) FROM written_late").await, 0, "after {failpoint}");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_was_stopped_replaced_and_woken_writes_nothing() {
    let trials = (0..setting("FICUS_TRIALS", TRIALS))
        .map(|number| trial(if number % 2 == 0 { "relay.read" } else { "relay.sent" }));
    futures::stream::iter(trials).buffer_unordered(SIDE_BY_SIDE).collect::<()>().await;
}
