//! A connection that falls silent: nothing passes and nothing is closed, for a while or for ever.

use std::io;
use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Carries connections of one port of this machine to another, until it falls silent.
pub struct Partition {
    pub port: u16,
    silent: watch::Sender<bool>,
    abandoned: watch::Sender<()>,
    accepting: JoinHandle<()>,
}

impl Partition {
    /// Listens on a free port, and connects to `to` for each connection.
    pub async fn before(to: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.context("failed to listen on a free port")?;
        let port = listener.local_addr()?.port();
        let (silent, heard) = watch::channel(false);
        let (abandoned, left) = watch::channel(());
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let (heard, mut left) = (heard.clone(), left.clone());
                left.mark_unchanged();
                tokio::spawn(async move {
                    if let Ok(far) = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await {
                        carry(near, far, heard, left).await;
                    }
                });
            }
        });
        Ok(Self { port, silent, abandoned, accepting })
    }

    /// From here on nothing passes, until [`Self::mend`].
    pub fn cut(&self) {
        self.silent.send_replace(true);
    }

    /// What was sent meanwhile arrives.
    pub fn mend(&self) {
        self.silent.send_replace(false);
    }

    /// The host that was connected to is gone: the connections that are open stay open here, and silent for ever. Those
    /// that are made from here on pass, as to another host that has taken its place.
    pub fn abandon(&self) {
        self.abandoned.send_replace(());
    }
}

impl Drop for Partition {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn carry(
    mut near: TcpStream,
    mut far: TcpStream,
    heard: watch::Receiver<bool>,
    mut left: watch::Receiver<()>,
) {
    let (near_read, near_write) = near.split();
    let (far_read, far_write) = far.split();
    // Either end closes both.
    tokio::select! {
        _ = pass(near_read, far_write, heard.clone()) => return,
        _ = pass(far_read, near_write, heard) => return,
        _ = left.changed() => {}
    }
    drop(far);
    // Until nobody is left who could abandon anything.
    while left.changed().await.is_ok() {}
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut silent: watch::Receiver<bool>,
) -> io::Result<()> {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        if read == 0 || silent.wait_for(|silent| !silent).await.is_err() {
            return Ok(());
        }
        to.write_all(&buffer[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::time::timeout;

    use super::Partition;

    #[tokio::test]
    async fn what_was_sent_into_the_silence_arrives_when_it_ends() {
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a listener");
        let to = echo.local_addr().expect("an address").port();
        tokio::spawn(async move {
            let (mut stream, _) = echo.accept().await.expect("a connection");
            let (mut read, mut write) = stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
        let partition = Partition::before(to).await.expect("a partition");
        let near = (Ipv4Addr::LOCALHOST, partition.port);
        let mut stream = TcpStream::connect(near).await.expect("it accepts");
        let mut answer = [0; 2];
        stream.write_all(b"ab").await.expect("it takes");
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"ab");
        partition.cut();
        stream.write_all(b"cd").await.expect("it takes");
        let silent = timeout(Duration::from_millis(200), stream.read_exact(&mut answer)).await;
        assert!(silent.is_err(), "nothing passes");
        partition.mend();
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"cd");
    }

    #[tokio::test]
    async fn what_is_abandoned_is_silent_for_ever_and_what_comes_anew_passes() {
        let echo = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a listener");
        let to = echo.local_addr().expect("an address").port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = echo.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        let partition = Partition::before(to).await.expect("a partition");
        let near = (Ipv4Addr::LOCALHOST, partition.port);
        let asks = async |stream: &mut TcpStream| {
            let mut answer = [0; 2];
            stream.write_all(b"ab").await.expect("it takes");
            let read = timeout(Duration::from_millis(200), stream.read_exact(&mut answer)).await;
            read.map(|read| read.expect("it stays open"))
        };
        let mut old = TcpStream::connect(near).await.expect("it accepts");
        asks(&mut old).await.expect("an answer");
        partition.abandon();
        asks(&mut old).await.expect_err("nothing passes and nothing is closed");
        let mut new = TcpStream::connect(near).await.expect("it accepts");
        asks(&mut new).await.expect("an answer");
        partition.abandon();
        asks(&mut new).await.expect_err("nothing passes and nothing is closed");
    }
}
