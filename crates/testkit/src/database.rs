//! Databases that are copied from a template, so that migrations run once a server.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use ficus_pg::Pool;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use ficus_pg::Migrations;

use crate::{Server, unique, wait_until};

/// So long it may take until statements wait.
const BLOCKED: Duration = Duration::from_secs(15);

/// A database of one test's own, dropped with this value.
pub struct Database {
    server: Server,
    name: String,
    url: String,
}

/// A database on `server` on which `migrations` have run.
pub async fn database(server: Server, migrations: &[Migrations]) -> Database {
    let mut admin = connect(&server.url()).await;
    let template = template(server, &mut admin, migrations).await;
    let name = unique("test");
    run(&mut admin, format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
    Database { server, url: on(server, &name), name }
}

impl Database {
    /// Where the superuser connects.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A pool of up to ten connections.
    pub async fn pool(&self) -> Pool {
        let options = PgPoolOptions::new().max_connections(10);
        let pool = options.connect(&self.url).await;
        pool.expect("failed to connect to the test's database").into()
    }

    /// A connection of its own.
    pub async fn connect(&self) -> PgConnection {
        connect(&self.url).await
    }

    /// Waits until so many statements in it wait for locks.
    pub async fn blocked(&self, statements: i64) {
        let mut onlooker = self.connect().await;
        let waiting = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'";
        wait_until("statements are to wait for locks", BLOCKED, async || {
            let waiting = sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut onlooker).await;
            waiting.expect("an answer") == statements
        })
        .await;
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let url = self.server.url();
        // The test's own runtime cannot be waited for here.
        let dropping = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("failed to start a runtime").block_on(async {
                run(&mut connect(&url).await, statement).await;
            });
        });
        let dropped = dropping.join().is_ok() || std::thread::panicking();
        assert!(dropped, "failed to drop the test's database {}", self.name);
    }
}

/// The name of the database to copy, made if it does not exist. It gets its name when it is complete.
async fn template(server: Server, admin: &mut PgConnection, migrations: &[Migrations]) -> String {
    let digest = digest(migrations);
    let template = format!("template_{digest:016x}");
    run(admin, format!("SELECT pg_advisory_lock({})", digest.cast_signed())).await;
    if !exists(admin, &template).await {
        let unfinished = unique("unfinished");
        run(admin, format!("CREATE DATABASE {unfinished}")).await;
        ficus_pg::migrate(&on(server, &unfinished), migrations).await.expect("failed to migrate");
        run(admin, format!("ALTER DATABASE {unfinished} RENAME TO {template}")).await;
    }
    run(admin, format!("SELECT pg_advisory_unlock({})", digest.cast_signed())).await;
    template
}

fn digest(migrations: &[Migrations]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for Migrations { migrator, table } in migrations {
        table.hash(&mut hasher);
        for migration in migrator.iter() {
            (migration.version, &migration.checksum).hash(&mut hasher);
        }
    }
    hasher.finish()
}

async fn exists(admin: &mut PgConnection, database: &str) -> bool {
    sqlx::query_scalar("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)")
        .bind(database)
        .fetch_one(admin)
        .await
        .expect("failed to look for the template")
}

fn on(server: Server, database: &str) -> String {
    let options: PgConnectOptions = server.url().parse().expect("the server's address is no URL");
    options.database(database).to_url_lossy().to_string()
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("failed to connect to the test's server")
}

async fn run(connection: &mut PgConnection, statement: String) {
    let said = statement.clone();
    if let Err(error) = connection.execute(AssertSqlSafe(statement)).await {
        panic!("failed to run \"{said}\": {error}");
    }
}
