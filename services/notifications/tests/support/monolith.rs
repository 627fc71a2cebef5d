//! The monolith, started as a program and asked over HTTP.

use std::net::SocketAddr;

use ficus_pg::Pool;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use trellis_testkit::{Database, Program, binary, free_address};

use super::{control_database, monolith_database};

/// A running monolith and its database.
pub struct Monolith {
    pub pool: Pool,
    address: SocketAddr,
    token: OnceCell<String>,
    _program: Program,
    _databases: [Database; 2],
}

/// An answer, as a customer sees it.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub replayed: bool,
    pub body: String,
}

impl Monolith {
    /// Starts one whose mails go nowhere.
    pub async fn start() -> Self {
        let (database, control) = (monolith_database().await, control_database().await);
        let (address, internal) = (free_address(), free_address());
        let arguments = [
            format!("--listen={address}"),
            format!("--internal-listen={internal}"),
            format!("--database-url={}", database.url()),
            format!("--control-database-url={}", control.url()),
            "--smtp-address=127.0.0.1:9".to_owned(),
        ];
        let mut program = Program::start(binary("monolith"), arguments, [("RUST_LOG", "warn")]);
        program.healthy(address).await;
        let pool = database.pool().await;
        Self {
            pool,
            address,
            token: OnceCell::new(),
            _program: program,
            _databases: [database, control],
        }
    }

    /// Signs the first person up, who makes every later request.
    pub async fn sign_up(&self) {
        let body =
            r#"{"email": "one@example.org", "name": "one", "password": "correct horse battery"}"#;
        let answer = self.ask("POST", "/v1/sign-up", "", body).await;
        let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(body["user_id"], 1, "{answer:?}");
        self.token.set(body["token"].as_str().unwrap().to_owned()).unwrap();
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", "").await
    }

    pub async fn write(&self, method: &str, path: &str, key: &str, body: &str) -> Answer {
        self.ask(method, path, key, body).await
    }

    async fn ask(&self, method: &str, path: &str, key: &str, body: &str) -> Answer {
        let token = self.token.get().map_or("", String::as_str);
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nIdempotency-Key: {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head[9..12].parse().unwrap(),
            replayed: head.to_lowercase().contains("\r\nidempotent-replayed: true"),
            body: body.to_owned(),
        }
    }
}
