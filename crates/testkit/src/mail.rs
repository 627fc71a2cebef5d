//! Mail servers that do as the test says.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

const PATIENCE: Duration = Duration::from_mins(1);

/// A mail server that takes one mail after the other and waits for the test before it answers.
pub struct Reluctant {
    pub address: String,
    /// One word each time that it has come to where it waits.
    pub reached: mpsc::Receiver<()>,
    /// One word for each answer that it may give.
    pub may_answer: mpsc::Sender<()>,
}

impl Reluctant {
    /// Starts one that waits when it has read a mail to its end.
    pub async fn start() -> Self {
        Self::at(&["."]).await
    }

    /// Starts one that waits at each of these commands; a dot is a mail's end.
    pub async fn at(commands: &'static [&'static str]) -> Self {
        let (listener, address) = listen().await;
        let (tell, reached) = mpsc::channel(100);
        let (may_answer, mut leave) = mpsc::channel(100);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // Whoever breaks the connection off begins anew.
                let _ = converse(stream, commands, &tell, &mut leave).await;
            }
        });
        Self { address, reached, may_answer }
    }

    /// Waits until it has come to where it waits.
    pub async fn is_reached(&mut self) {
        let reached = tokio::time::timeout(PATIENCE, self.reached.recv()).await;
        reached.expect("nobody comes with a mail").expect("it runs as long as this value");
    }
}

/// One that answers so to whoever comes, and to whom a mail is for; its address.
pub async fn refusing(greeting: &'static str, recipient: &'static str) -> String {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
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

async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("failed to listen");
    let address = listener.local_addr().expect("it listens").to_string();
    (listener, address)
}

async fn converse(
    stream: TcpStream,
    commands: &[&str],
    reached: &mpsc::Sender<()>,
    leave: &mut mpsc::Receiver<()>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 ready\r\n").await?;
    let (mut line, mut is_mail) = (String::new(), false);
    while stream.read_line(&mut line).await? > 0 {
        let command = line.split_whitespace().next().unwrap_or_default();
        if !is_mail || command == "." {
            if commands.contains(&command) {
                let _ = reached.send(()).await;
                let _ = leave.recv().await;
            }
            is_mail = command == "DATA";
            let answer: &[u8] = if is_mail { b"354 go on\r\n" } else { b"250 ok\r\n" };
            stream.write_all(answer).await?;
        }
        line.clear();
    }
    Ok(())
}
