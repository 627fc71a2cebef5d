//! What carries connections to a database server that can be lost.

use std::net::Ipv4Addr;

use sqlx::{ConnectOptions as _, postgres::PgConnectOptions};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A way to a database, over which its server can be lost as one whose host is gone.
pub struct Line {
    url: String,
    gone: watch::Sender<Option<Gone>>,
}

/// What has been lost.
#[derive(Clone, Copy, PartialEq)]
enum Gone {
    Server,
    Host,
}

impl Line {
    /// To the database at `url`.
    pub async fn to(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().expect("the database's address is no URL");
        let server = (options.get_host().to_owned(), options.get_port());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("failed to listen");
        let port = listener.local_addr().expect("it listens").port();
        let gone = watch::Sender::new(None);
        let seen = gone.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, server.clone(), seen.subscribe()));
            }
        });
        Self { url: options.host("127.0.0.1").port(port).to_url_lossy().to_string(), gone }
    }

    /// Where to connect.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What is connected stays open and silent for ever; what connects from here on is answered, as by another host in
    /// the place of the first.
    pub fn lose_the_server(&self) {
        self.gone.send_replace(Some(Gone::Server));
    }

    /// What is connected stays open and silent for ever, and so does what connects from here on.
    pub fn lose_the_host(&self) {
        self.gone.send_replace(Some(Gone::Host));
    }
}

async fn carry(
    mut near: TcpStream,
    server: (String, u16),
    mut gone: watch::Receiver<Option<Gone>>,
) {
    if *gone.borrow() == Some(Gone::Host) {
        std::future::pending::<()>().await;
    }
    let Ok(mut far) = TcpStream::connect(server).await else { return };
    tokio::select! {
        _ = copy_bidirectional(&mut near, &mut far) => {}
        _ = gone.changed() => {
            drop(far);
            std::future::pending::<()>().await;
        }
    }
}
