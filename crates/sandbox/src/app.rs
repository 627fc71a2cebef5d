//! The wiring.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use ficus_process::{Clock, Shutdown};
use tokio::net::TcpListener;

use crate::{Config, admin, otlp, smtp};

/// Serves SMTP, OTLP and HTTP until shutdown is requested.
pub async fn run(config: Config, shutdown: Shutdown) -> anyhow::Result<()> {
    let mailbox = smtp::Mailbox::open(&config.mail_file, Clock::system())
        .await
        .with_context(|| format!("failed to open {}", config.mail_file.display()))?;
    let mailbox = Arc::new(mailbox);
    let spans = config.spans_file.as_deref().map(open).transpose()?;
    let smtp_listener =
        TcpListener::bind(config.smtp_listen).await.context("failed to bind SMTP")?;
    let http_listener =
        TcpListener::bind(config.http_listen).await.context("failed to bind HTTP")?;
    tracing::info!(smtp = %config.smtp_listen, http = %config.http_listen, "the sandbox listens");

    let mut routes = admin::router(Arc::clone(&mailbox));
    if let Some(spans) = &spans {
        routes = routes.merge(otlp::routes(Arc::clone(spans)));
    }
    let http = axum::serve(http_listener, routes);
    tokio::select! {
        () = smtp::serve(smtp_listener, mailbox) => Ok(()),
        ended = take_spans(&config, spans) => ended,
        ended = http => ended.context("failed to serve HTTP"),
        () = shutdown.requested() => Ok(()),
    }
}

fn open(path: &Path) -> anyhow::Result<Arc<otlp::Spans>> {
    let spans = otlp::Spans::open(path);
    Ok(Arc::new(spans.with_context(|| format!("failed to open {}", path.display()))?))
}

/// Never returns when there is no file for them.
async fn take_spans(config: &Config, spans: Option<Arc<otlp::Spans>>) -> anyhow::Result<()> {
    let Some(spans) = spans else { return std::future::pending().await };
    let listener = TcpListener::bind(config.otlp_listen).await.context("failed to bind OTLP")?;
    tracing::info!(otlp = %config.otlp_listen, "the sandbox takes spans");
    otlp::serve(listener, spans).await.context("failed to serve OTLP")
}
