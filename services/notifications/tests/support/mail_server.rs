//! The sandbox's mail server, and one that does as the test says.

use std::net::SocketAddr;

use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use trellis_testkit::{Program, binary, free_address, unique};

/// A running mail server and the file of what it has taken.
pub struct MailServer {
    smtp: SocketAddr,
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
        Self { smtp, file, _program: program }
    }

    /// Where it takes mails.
    pub fn smtp(&self) -> String {
        self.smtp.to_string()
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

/// A mail server that takes one mail after the other and waits for the test before it says so.
pub struct Reluctant {
    pub address: String,
    /// One word for each mail that it has read to its end.
    pub taken: mpsc::Receiver<()>,
    /// One word for each answer that it may give.
    pub may_answer: mpsc::Sender<()>,
}

impl Reluctant {
    /// Starts one.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (tell, taken) = mpsc::channel(100);
        let (may_answer, mut leave) = mpsc::channel(100);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                // Whoever breaks the connection off begins anew.
                let _ = converse(stream, &tell, &mut leave).await;
            }
        });
        Self { address, taken, may_answer }
    }
}

/// One that answers so to whoever comes, and to whom a mail is for; its address.
pub async fn refusing(greeting: &'static str, recipient: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let mut stream = BufReader::new(stream);
            let (mut line, mut answer) = (String::new(), greeting);
            while stream.write_all(answer.as_bytes()).await.is_ok() {
                line.clear();
                if stream.read_line(&mut line).await.unwrap_or(0) == 0 {
                    break;
                }
                answer = if line.starts_with("RCPT") { recipient } else { "250 ok\r\n" };
            }
        }
    });
    address
}

async fn converse(
    stream: TcpStream,
    taken: &mpsc::Sender<()>,
    leave: &mut mpsc::Receiver<()>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 ready\r\n").await?;
    let (mut line, mut is_mail) = (String::new(), false);
    while stream.read_line(&mut line).await? > 0 {
        let answer = match line.trim_end() {
            "." => {
                let _ = taken.send(()).await;
                let _ = leave.recv().await;
                is_mail = false;
                "250 taken\r\n"
            }
            _ if is_mail => "",
            "DATA" => {
                is_mail = true;
                "354 go on\r\n"
            }
            _ => "250 ok\r\n",
        };
        stream.write_all(answer.as_bytes()).await?;
        line.clear();
    }
    Ok(())
}
