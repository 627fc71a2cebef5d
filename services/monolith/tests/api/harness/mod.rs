//! Trellis, running, and persons who use it.

mod fence;
mod mail_server;
mod person;
mod reply;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use clap::Parser;
use ficus_pg::Pool;
use ficus_process::Shutdown;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use tokio::task::JoinHandle;
use trellis_monolith::app::{Server, migrations};
use trellis_monolith::config::Config;
use trellis_testkit::{Database, Line};

pub use fence::{FENCED, Fence};
pub use mail_server::MailServer;
pub use person::{Person, id};
pub use reply::Reply;

pub const PASSWORD: &str = "correct horse battery staple";

const QUEUED: [&str; 4] = ["--mail-mode", "queued", "--kafka-brokers", "127.0.0.1:1"];

/// A running Trellis, stopped with this value.
pub struct Trellis {
    pub address: SocketAddr,
    pub internal: SocketAddr,
    pub mail: MailServer,
    pub pool: Pool,
    client: Client<HttpConnector, Full<Bytes>>,
    persons: AtomicU32,
    shutdown: Shutdown,
    task: JoinHandle<()>,
    line: Line,
    database: Database,
    database_name: String,
}

impl Trellis {
    /// As an MVP runs: mail leaves inline, there is no broker.
    pub async fn start() -> Self {
        Self::start_with(None, &["--mail-mode", "inline"]).await
    }

    /// Mail is queued. The broker is away: what it would carry stands in the outbox.
    pub async fn start_queued() -> Self {
        Self::start_with(None, &QUEUED).await
    }

    /// The same, with another mail server than the sandbox's.
    pub async fn start_queued_with(smtp: &str) -> Self {
        Self::start_with(Some(smtp), &QUEUED).await
    }

    async fn start_with(smtp: Option<&str>, arguments: &[&str]) -> Self {
        let database =
            trellis_testkit::database(trellis_testkit::Server::First, &migrations()).await;
        let line = Line::to(database.url()).await;
        let mail = MailServer::start().await;
        let smtp = smtp.map_or_else(|| mail.address.to_string(), str::to_owned);
        let always = [
            "monolith",
            "--listen",
            "127.0.0.1:0",
            "--internal-listen",
            "127.0.0.1:0",
            "--database-url",
            line.url(),
            "--smtp-address",
            &smtp,
        ];
        let mut config = Config::try_parse_from(always.iter().chain(arguments).copied()).unwrap();
        config.control_database_url = None;
        config.kafka_brokers = config.kafka_brokers.filter(|_| arguments.contains(&"queued"));
        let server = Server::bind(&config).await.unwrap();
        let (address, internal) = server.addresses().unwrap();
        let shutdown = Shutdown::new();
        let ended = shutdown.clone();
        let task = tokio::spawn(async move { server.run(&config, ended).await.unwrap() });
        let pool = database.pool().await;
        let name = sqlx::query_scalar("SELECT current_database()::text");
        let database_name = name.fetch_one(&pool).await.unwrap();
        let client = Client::builder(TokioExecutor::new()).build_http();
        let persons = AtomicU32::new(0);
        Self {
            address,
            internal,
            mail,
            pool,
            client,
            persons,
            shutdown,
            task,
            line,
            database,
            database_name,
        }
    }

    /// Ends it as SIGTERM does; 10 s after that the process would end in any case.
    pub async fn end(&mut self) {
        self.shutdown.request();
        let ended = tokio::time::timeout(Duration::from_secs(10), &mut self.task).await;
        ended.expect("Trellis is to end by itself within 10 s").unwrap();
    }

    pub fn database_url(&self) -> &str {
        self.database.url()
    }

    /// Has the database take connections or not; those there are end.
    pub async fn admit(&self, admits: bool) {
        let url = trellis_testkit::Server::First.url();
        let server = PgPool::connect(&url).await.unwrap();
        let name = self.database_name.as_str();
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname =";
        for statement in [
            format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {admits}"),
            format!("{end} '{name}'"),
        ] {
            sqlx::query(AssertSqlSafe(statement)).execute(&server).await.unwrap();
        }
    }

    /// Loses the database server's host while so many of Trellis's statements wait for the table.
    pub async fn lose_the_server_under(&self, table: &str, statements: i64) {
        let holding = self.hold(table).await;
        self.database.blocked(statements).await;
        self.line.lose_the_server();
        holding.rollback().await.unwrap();
    }

    /// What comes of `asked` when the database server ends its session, while that waits for the table.
    pub async fn with_its_session_ended<T>(
        &self,
        table: &str,
        asked: impl Future<Output = T>,
    ) -> T {
        let holding = self.hold(table).await;
        let ending = async {
            self.database.blocked(1).await;
            let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'";
            sqlx::query(end).execute(&self.pool).await.unwrap();
        };
        let (came, ()) = tokio::join!(asked, ending);
        holding.rollback().await.unwrap();
        came
    }

    async fn hold(&self, table: &str) -> sqlx::Transaction<'_, sqlx::Postgres> {
        let mut holding = self.pool.begin().await.unwrap();
        let lock = AssertSqlSafe(format!("LOCK TABLE {table}"));
        sqlx::query(lock).execute(&mut *holding).await.unwrap();
        holding
    }

    /// A person who has just signed up, with their own workspace.
    pub async fn person(&self) -> Person<'_> {
        let n = self.persons.fetch_add(1, Ordering::Relaxed);
        let email = format!("person-{n}@example.org");
        let body = json!({"email": email, "name": format!("Person {n}"), "password": PASSWORD});
        let made = self.post("/v1/sign-up", body).await.ok();
        Person::signed_up(self, email, &made)
    }

    /// Asks as nobody.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.send("POST", path, &[], body.to_string()).await
    }

    /// Asks another server as nobody.
    pub async fn post_at(&self, address: SocketAddr, path: &str) -> Reply {
        self.send_to(address, "POST", path, &[], String::new()).await
    }

    /// Sends one request.
    pub async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Reply {
        self.send_to(self.address, method, path, headers, body).await
    }

    async fn send_to(
        &self,
        address: SocketAddr,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Reply {
        let mut request = Request::builder().method(method).uri(format!("http://{address}{path}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::from(body)).unwrap();
        let (head, body) = self.client.request(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Reply { status: head.status.as_u16(), headers: head.headers, body }
    }
}

impl Drop for Trellis {
    fn drop(&mut self) {
        self.shutdown.request();
    }
}
