//! A mail server that keeps what it is given.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use ficus_process::Shutdown;
use serde_json::Value;
use trellis_sandbox::Config;
use trellis_testkit::{free_address, unique, wait_until};

/// The sandbox's mail server, stopped with this value.
pub struct MailServer {
    pub address: SocketAddr,
    file: PathBuf,
    shutdown: Shutdown,
}

impl MailServer {
    pub async fn start() -> Self {
        let address = free_address();
        let file = std::env::temp_dir().join(unique("mail"));
        let smtp = address.to_string();
        let http = free_address().to_string();
        let arguments = [
            "sandbox",
            "--smtp-listen",
            &smtp,
            "--http-listen",
            &http,
            "--mail-file",
            file.to_str().unwrap(),
        ];
        let config = Config::try_parse_from(arguments).unwrap();
        let shutdown = Shutdown::new();
        let server = Self { address, file, shutdown };
        server.listen(config).await;
        server
    }

    async fn listen(&self, config: Config) {
        tokio::spawn(trellis_sandbox::app::run(config, self.shutdown.clone()));
        wait_until("the mail server listens", Duration::from_secs(5), async || {
            tokio::net::TcpStream::connect(self.address).await.is_ok()
        })
        .await;
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
        wait_until(&what, Duration::from_secs(10), async || self.mails_to(address).len() == count)
            .await;
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.shutdown.request();
        let _ = std::fs::remove_file(&self.file);
    }
}
