//! A connection that a test can cut: everything for one address goes through it.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Whole,
    /// Nothing arrives and nobody is told: connections stay open, new ones are accepted and get no answer.
    /// What was sent meanwhile arrives when it is mended, as after a cut cable.
    Silent,
    /// Connections are closed, and so is every new one.
    Closed,
}

/// Runs until the test's runtime ends.
pub struct Wire {
    pub address: SocketAddr,
    state: watch::Sender<State>,
}

impl Wire {
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, seen) = watch::channel(State::Whole);
        tokio::spawn(async move {
            loop {
                let (near, _) = listener.accept().await.unwrap();
                tokio::spawn(joined(near, target, seen.clone()));
            }
        });
        Self { address, state }
    }

    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

async fn joined(near: TcpStream, target: SocketAddr, mut state: watch::Receiver<State>) {
    let mut closed = state.clone();
    let passing = async {
        if state.wait_for(|state| *state == State::Whole).await.is_err() {
            return;
        }
        let Ok(far) = TcpStream::connect(target).await else { return };
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        tokio::join!(pass(near_in, far_out, state.clone()), pass(far_in, near_out, state));
    };
    tokio::select! {
        () = passing => {}
        _ = closed.wait_for(|state| *state == State::Closed) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut state: watch::Receiver<State>,
) {
    let mut bytes = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        // A test that has ended has nobody to pass it to.
        if state.wait_for(|state| *state == State::Whole).await.is_err()
            || to.write_all(&bytes[..read]).await.is_err()
        {
            break;
        }
    }
    let _ = to.shutdown().await;
}
