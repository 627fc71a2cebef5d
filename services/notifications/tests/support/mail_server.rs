//! The sandbox's mail server.

use std::net::SocketAddr;
use std::time::Duration;

use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use trellis_testkit::{Program, binary, free_address, unique};

/// A running mail server and the file of what it has taken.
pub struct MailServer {
    smtp: SocketAddr,
    http: SocketAddr,
    file: std::path::PathBuf,
    _program: Program,
}

/// One mail that was taken.
#[derive(Debug, Deserialize)]
pub struct Mail {
    pub message_id: String,
    pub subject: String,
}

impl MailServer {
    /// Starts one.
    pub async fn start() -> Self {
        let (smtp, http) = (free_address(), free_address());
        let file = std::env::temp_dir().join(unique("mails"));
        let arguments = [
            format!("--smtp-listen={smtp}"),
            format!("--http-listen={http}"),
            format!("--mail-file={}", file.display()),
        ];
        let mut program = Program::start(binary("sandbox"), arguments, [("RUST_LOG", "warn")]);
        program.healthy(http).await;
        Self { smtp, http, file, _program: program }
    }

    /// Where it takes mails.
    pub fn smtp(&self) -> String {
        self.smtp.to_string()
    }

    /// From now on so long for each mail.
    pub async fn takes(&self, time: Duration) {
        let body = format!(r#"{{"milliseconds":{}}}"#, time.as_millis());
        let length = body.len();
        let request = format!(
            "POST /smtp/delay HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.0 204"), "{answer}");
    }

    /// What it has taken.
    pub fn mails(&self) -> Vec<Mail> {
        let text = std::fs::read_to_string(&self.file).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.file);
    }
}
