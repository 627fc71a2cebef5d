//! The harbour's two offices on two servers, the engine's programs, and the command line.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use ficus_control_api::control::v1::{StatusRequest, moves_client::MovesClient};
use ficus_pg::Pool;
use serde_json::Value;
use sqlx::{ConnectOptions, Executor, PgPool, postgres::PgConnectOptions};
use tokio::net::TcpListener;
use trellis_testkit::{
    Database, Migrations, Program, Server, binary, database, free_address, unique, wait_until,
};

use crate::{
    harbour::{NEW, OLD, Statements, router},
    wire::Wire,
};

/// Owns its tables and no more: no superuser, no right in the engine's schema.
const ROLE: &str = "harbour";
/// Runs once a server; two tests may run it at once.
const CREATE_ROLE: &str = "DO $$ BEGIN CREATE ROLE harbour LOGIN;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
    GRANT ALL ON SCHEMA public TO harbour";

pub struct Stand {
    /// The old office's database and the new one's, as the superuser sees them.
    pub pools: [Pool; 2],
    pub controllers: Vec<Program>,
    addresses: [SocketAddr; 2],
    config: PathBuf,
    databases: [Database; 3],
}

pub struct Gateway {
    pub name: String,
    pub address: SocketAddr,
    /// Between it and the control database.
    pub wire: Wire,
    program: Program,
}

impl Stand {
    /// Both offices are open, with 300 entries in the old one; nothing of the engine runs yet.
    pub async fn new() -> Self {
        let old = database(Server::First, &ficus()).await;
        let new = database(Server::Second, &ficus()).await;
        let migrator = &ficus_controller::app::MIGRATOR;
        let migrations = Migrations { migrator, table: "_sqlx_migrations" };
        let control = database(Server::Second, &[migrations]).await;
        let old_office = office(&old, include_str!("harbour/old.sql"), &OLD).await;
        let new_office = office(&new, include_str!("harbour/new.sql"), &NEW).await;
        let pools = [old.pool().await, new.pool().await];
        let seed =
            "INSERT INTO public.boats SELECT 'seed ' || n, 3 FROM generate_series(1, 100) AS n;
                    INSERT INTO public.log_entries (boat, said, urgent)
                    SELECT name, 'entry ' || n, CASE WHEN n = 2 THEN 'yes' ELSE 'no' END
                      FROM public.boats, generate_series(1, 3) AS n";
        pools[0].execute(seed).await.unwrap();
        let addresses = [free_address(), free_address()];
        let config = config(old_office, new_office, addresses);
        let databases = [old, new, control];
        Self { pools, controllers: Vec::new(), addresses, config, databases }
    }

    /// Starts one more controller, of two at most; `failpoints` as in `FICUS_FAILPOINTS`.
    pub async fn controller(&mut self, failpoints: &str) {
        let number = self.controllers.len();
        let (address, name) = (self.addresses[number], format!("controller-{}", number + 1));
        let environment = [
            ("HARBOUR_OLD_URL", self.databases[0].url()),
            ("HARBOUR_NEW_URL", self.databases[1].url()),
            ("HARBOUR_CONTROL_URL", self.databases[2].url()),
            ("FICUS_FAILPOINTS", failpoints),
            ("RUST_LOG", "info,sqlx=warn"),
        ];
        let arguments = arguments(&self.config, address, &name);
        let mut program = Program::start(binary("controller"), arguments, environment);
        program.listening(address).await;
        self.controllers.push(program);
        if number == 0 {
            // So that a test knows whom its failpoints meet.
            wait_until("the first controller is to lead", Duration::from_secs(30), async || {
                leads(address).await
            })
            .await;
        }
    }

    pub async fn gateway(&self, name: &str) -> Gateway {
        let control: PgConnectOptions = self.databases[2].url().parse().unwrap();
        let server = format!("{}:{}", control.get_host(), control.get_port());
        let wire = Wire::to(server.parse().unwrap()).await;
        let url = control.host("127.0.0.1").port(wire.address.port()).to_url_lossy();
        let address = free_address();
        let environment = [("HARBOUR_CONTROL_URL", url.as_str()), ("RUST_LOG", "info,sqlx=warn")];
        let arguments = arguments(&self.config, address, name);
        let mut program = Program::start(binary("gateway"), arguments, environment);
        program.healthy(address).await;
        Gateway { name: name.to_owned(), address, wire, program }
    }

    /// Those whom a switch waits for.
    pub async fn pickers(&self) -> Vec<String> {
        let control = self.databases[2].pool().await;
        sqlx::query_scalar("SELECT picker FROM picker").fetch_all(&control).await.unwrap()
    }

    /// `ficus move logbook …`, which must succeed; what it printed for machines.
    pub async fn ficus(&self, words: &str) -> Value {
        let output = tokio::process::Command::new(binary("ficus"))
            .args(["--json", "--config"])
            .arg(&self.config)
            .args(["move", "logbook"])
            .args(words.split(' '))
            .kill_on_drop(true)
            .output()
            .await
            .unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "ficus move logbook {words}: {said}{complained}");
        serde_json::from_str(&said).unwrap()
    }

    /// Created, prepared, copied and compared.
    pub async fn verified(&self) {
        for verb in ["create", "prepare", "start", "vdiff"] {
            self.ficus(verb).await;
        }
        assert_eq!(self.ficus("status").await["phase"], "verified");
    }

    /// The texts of one boat's entries at one office, in the order of their ids, and how many it counts.
    pub async fn book(&self, boat: &str, service: bool) -> (Vec<String>, i64) {
        let (pool, texts, count) = if service {
            (
                &self.pools[1],
                "SELECT body FROM public.lines WHERE vessel = $1 ORDER BY line_no",
                "SELECT coalesce(sum(line_count), 0)::bigint FROM public.vessels WHERE vessel = $1",
            )
        } else {
            (
                &self.pools[0],
                "SELECT said FROM public.log_entries WHERE boat = $1 ORDER BY id",
                "SELECT coalesce(sum(entries), 0)::bigint FROM public.boats WHERE name = $1",
            )
        };
        let texts = sqlx::query_scalar(texts).bind(boat).fetch_all(pool).await.unwrap();
        let count = sqlx::query_scalar(count).bind(boat).fetch_one(pool).await.unwrap();
        (texts, count)
    }

    /// Waits until both offices hold the same entries; nobody writes any more.
    pub async fn until_equal(&self) {
        let old = "SELECT id || boat || said || (urgent = 'yes')
                     || round(extract(epoch FROM noted_at) * 1000000) FROM public.log_entries ORDER BY id";
        let new = "SELECT line_no || vessel || body || alarm || noted_us FROM public.lines ORDER BY line_no";
        wait_until("both offices are to be equal", Duration::from_secs(30), async || {
            let rows = async |pool, query| sqlx::query_scalar(query).fetch_all(pool).await.unwrap();
            let old: Vec<String> = rows(&self.pools[0], old).await;
            let new: Vec<String> = rows(&self.pools[1], new).await;
            old == new
        })
        .await;
    }
}

impl Gateway {
    /// Tells it to end, and waits until it has.
    pub async fn end(&mut self) {
        let id = self.program.id().to_string();
        assert!(Command::new("kill").args(["-s", "TERM", &id]).status().unwrap().success());
        let ended = async || !self.program.is_running();
        wait_until("the gateway has ended", Duration::from_secs(30), ended).await;
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.config);
    }
}

async fn leads(controller: SocketAddr) -> bool {
    let moves = MovesClient::connect(format!("http://{controller}")).await;
    moves.unwrap().status(StatusRequest::default()).await.is_ok()
}

fn arguments(config: &Path, address: SocketAddr, name: &str) -> [String; 6] {
    let (config, address) = (config.display().to_string(), address.to_string());
    let [config_flag, listen, name_flag] = ["--config", "--listen", "--name"].map(str::to_owned);
    [config_flag, config, listen, address, name_flag, name.to_owned()]
}

/// Serves one office from its database until the test ends.
async fn office(
    database: &Database,
    tables: &'static str,
    statements: &'static Statements,
) -> SocketAddr {
    database.pool().await.execute(CREATE_ROLE).await.unwrap();
    let options: PgConnectOptions = database.url().parse().unwrap();
    let pool = PgPool::connect_with(options.username(ROLE)).await.unwrap();
    pool.execute(tables).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async { axum::serve(listener, router(pool.into(), statements)).await.unwrap() });
    address
}

/// A copy of the harbour's `ficus.toml` with the addresses of this test.
fn config(old: SocketAddr, new: SocketAddr, controllers: [SocketAddr; 2]) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/app/harbour/move");
    let mut text = include_str!("harbour/ficus.toml")
        .replace("move = \"move\"", &format!("move = \"{}\"", folder.display()));
    for (port, address) in (9001..).zip([old, new, controllers[0], controllers[1]]) {
        text = text.replace(&format!("127.0.0.1:{port}"), &address.to_string());
    }
    let path = std::env::temp_dir().join(unique("ficus")).with_extension("toml");
    std::fs::write(&path, text).unwrap();
    path
}

fn ficus() -> [Migrations; 2] {
    [
        Migrations { migrator: &ficus_events::MIGRATOR, table: "_sqlx_migrations_events" },
        Migrations { migrator: &ficus_mover::MIGRATOR, table: "_sqlx_migrations_mover" },
    ]
}
