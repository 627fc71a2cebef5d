//! The server that a test may kill.

use std::{fs::File, time::Duration};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection, postgres::PgConnectOptions};

use crate::{Server, wait_until};

/// Other tests' turns come first.
const TURN: Duration = Duration::from_mins(10);
const RECOVERY: Duration = Duration::from_mins(1);

/// The right to kill [`Server::Killable`], one test's at a time, whichever process it runs in. Take it before
/// making databases there, and let it go after them.
pub struct Killable {
    _turn: File,
}

impl Killable {
    /// Waits for its turn. The server has the settings that it was made with.
    pub async fn take() -> Self {
        let name = format!("ficus-killable-{}.lock", port());
        let path = std::env::temp_dir().join(name);
        let turn = File::create(path).expect("failed to create the lock file");
        wait_until("the server that may be killed is to be free", TURN, async || {
            turn.try_lock().is_ok()
        })
        .await;
        run("ALTER SYSTEM RESET ALL").await;
        run("SELECT pg_reload_conf()").await;
        Self { _turn: turn }
    }

    /// Has the server take a setting that a reload changes.
    pub async fn set(&self, setting: &'static str, value: &'static str) {
        run(&format!("ALTER SYSTEM SET {setting} = '{value}'")).await;
        run("SELECT pg_reload_conf()").await;
    }

    /// Kills the server as `pg_ctl stop -m immediate` does, which ends every process where it stands, and waits
    /// until it has recovered.
    pub async fn crash(&self) {
        let (before, pid) = process().await.expect("the server that may be killed does not answer");
        kill(Pid::from_raw(pid), Signal::SIGQUIT).expect("failed to kill the server");
        wait_until("the killed server is to come back", RECOVERY, async || {
            process().await.is_some_and(|(now, _)| now != before)
        })
        .await;
    }
}

fn port() -> u16 {
    let url = Server::Killable.url();
    let options: PgConnectOptions = url.parse().expect("the server's address is no URL");
    options.get_port()
}

/// When the server was started, and its process id, if it answers.
async fn process() -> Option<(String, i32)> {
    let mut connection = PgConnection::connect(&Server::Killable.url()).await.ok()?;
    sqlx::query_as(
        "SELECT pg_postmaster_start_time()::text,
                split_part(pg_read_file('postmaster.pid'), E'\n', 1)::int",
    )
    .fetch_one(&mut connection)
    .await
    .ok()
}

async fn run(statement: &str) {
    let mut connection = PgConnection::connect(&Server::Killable.url())
        .await
        .expect("the server that may be killed does not answer");
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned()))
        .execute(&mut connection)
        .await
        .unwrap_or_else(|error| panic!("failed to run \"{statement}\": {error}"));
}
