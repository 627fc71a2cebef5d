//! A mail server that keeps what it is given.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use ficus_process::Shutdown;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use trellis_sandbox::Config;
use trellis_testkit::{free_address, unique, wait_until};

/// The sandbox's mail server, stopped with this value.
pub struct MailServer {
    pub address: SocketAddr,
    http: SocketAddr,
    file: PathBuf,
    shutdown: Shutdown,
}

impl MailServer {
    pub async fn start() -> Self {
        Self::start_at(free_address()).await
    }

    /// At an address where nobody listens any more.
    pub async fn start_at(address: SocketAddr) -> Self {
        let file = std::env::temp_dir().join(unique("mail"));
        let smtp = address.to_string();
        let http = free_address();
        let arguments = [
            "sandbox",
            "--smtp-listen",
            &smtp,
            "--http-listen",
            &http.to_string(),
            "--mail-file",
            file.to_str().unwrap(),
        ];
        let config = Config::try_parse_from(arguments).unwrap();
        let shutdown = Shutdown::new();
        let server = Self { address, http, file, shutdown };
        server.listen(config).await;
        server
    }

    async fn listen(&self, config: Config) {
        tokio::spawn(trellis_sandbox::app::run(config, self.shutdown.clone()));
        wait_until("the mail server listens", Duration::from_secs(30), async || {
            tokio::net::TcpStream::connect(self.address).await.is_ok()
        })
        .await;
    }

    /// From now on so long for each mail.
    pub async fn takes(&self, time: Duration) {
        let body = format!(r#"{{"milliseconds":{}}}"#, time.as_millis());
        let request = Request::post(format!("http://{}/smtp/delay", self.http))
            .header("content-type", "application/json")
            .body(Full::from(body))
            .unwrap();
        let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
        assert_eq!(client.request(request).await.unwrap().status(), 204);
    }

    /// Takes no more mail.
    pub fn stop(&self) {
        self.shutdown.request();
    }

    /// The mails that were taken for this address.
    pub fn mails_to(&self, address: &str) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.file).unwrap_or_default();
        let mails = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        mails.filter(|mail| mail["to"].to_string().contains(address)).collect()
    }

    /// Waits until exactly so many mails were taken for this address.
    pub async fn has_taken(&self, count: usize, address: &str) {
        let what = format!("{count} mails to {address}");
        wait_until(&what, Duration::from_secs(30), async || self.mails_to(address).len() == count)
            .await;
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.shutdown.request();
        let _ = std::fs::remove_file(&self.file);
    }
}
