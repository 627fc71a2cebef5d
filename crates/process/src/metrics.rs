//! What Prometheus reads: everything that was recorded with OpenTelemetry's global meter, and what the system knows of
//! the process.

use std::{net::SocketAddr, sync::LazyLock};

use anyhow::Context;
use axum::{Router, http::header, response::IntoResponse, routing::get};
use opentelemetry_prometheus::PrometheusExporter;
use prometheus::{Registry, TextEncoder};
use tokio::net::TcpListener;

use crate::Shutdown;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let registry = Registry::new();
    #[cfg(target_os = "linux")]
    {
        let process = prometheus::process_collector::ProcessCollector::for_self();
        registry.register(Box::new(process)).expect("nothing else has these names");
    }
    registry
});

/// Upper bounds in seconds for histograms of durations: 0.5 ms to 10 s, three to a decade.
pub const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Where metrics are served; part of every process's command line.
#[derive(Debug, clap::Args)]
pub(crate) struct Endpoint {
    /// Serves Prometheus metrics at this address, path /metrics
    #[arg(
        id = "metrics_address",
        long = "metrics",
        env = "METRICS_ADDRESS",
        value_name = "ADDRESS",
        global = true
    )]
    address: Option<SocketAddr>,
}

impl Endpoint {
    /// Serves until the end is requested, where an address was given.
    /// A process works without: another job of the same program may have the address.
    pub(crate) async fn serve(&self, shutdown: Shutdown) {
        let Some(address) = self.address else { return };
        let listener = match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(error) => return tracing::warn!(%error, %address, "failed to serve metrics"),
        };
        let router = Router::new().route("/metrics", get(answer));
        tokio::spawn(async move {
            let until = async move { shutdown.requested().await };
            let served = axum::serve(listener, router).with_graceful_shutdown(until).await;
            if let Err(error) = served {
                tracing::error!(%error, "failed to serve metrics");
            }
        });
    }
}

pub(crate) fn reader() -> anyhow::Result<PrometheusExporter> {
    opentelemetry_prometheus::exporter()
        .with_registry(REGISTRY.clone())
        .build()
        .context("failed to register the metrics")
}

async fn answer() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text())
}

/// All metrics of this process in Prometheus's text format.
pub fn text() -> String {
    TextEncoder::new().encode_to_string(&REGISTRY.gather()).unwrap_or_else(|error| {
        tracing::error!(%error, "failed to write the metrics");
        String::new()
    })
}
