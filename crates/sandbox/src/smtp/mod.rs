//! A mail server that keeps what it takes (RFC 5321).

mod mailbox;
mod session;

use std::{sync::Arc, time::Duration};

use tokio::net::TcpListener;

pub use mailbox::Mailbox;

/// Serves sessions for ever.
pub async fn serve(listener: TcpListener, mailbox: Arc<Mailbox>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let _ = stream.set_nodelay(true);
                tokio::spawn(session::run(stream, Arc::clone(&mailbox)));
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a mail connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}
