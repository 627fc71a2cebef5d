//! The wiring.

use std::sync::Arc;

use anyhow::Context as _;
use ficus_process::{Clock, Shutdown};
use tokio::net::TcpListener;

use crate::{Config, admin, smtp};

/// Serves SMTP and HTTP until shutdown is requested.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let mailbox = smtp::Mailbox::open(&config.mail_file, Clock::system())
        .await
        .with_context(|| format!("failed to open {}", config.mail_file.display()))?;
    let mailbox = Arc::new(mailbox);
    let smtp_listener =
        TcpListener::bind(config.smtp_listen).await.context("failed to bind SMTP")?;
    let http_listener =
        TcpListener::bind(config.http_listen).await.context("failed to bind HTTP")?;
    tracing::info!(smtp = %config.smtp_listen, http = %config.http_listen, "the sandbox listens");

    let http = axum::serve(http_listener, admin::router(Arc::clone(&mailbox)));
    tokio::select! {
        () = smtp::serve(smtp_listener, mailbox) => Ok(()),
        ended = http => ended.context("failed to serve HTTP"),
        () = shutdown.requested() => Ok(()),
    }
}
