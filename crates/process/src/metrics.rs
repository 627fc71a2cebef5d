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
    registry.register(Box::new(linux::process())).expect("nothing else has these names");
    registry
});

#[cfg(target_os = "linux")]
mod linux {
    use nix::sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike as _,
    };
    use prometheus::{
        core::{Collector, Desc},
        process_collector::ProcessCollector,
        proto::{Counter, MetricFamily},
    };

    /// What the system knows of the process. The collector tells its processor time in whole seconds, of which a chart
    /// by the second makes nothing; this one in microseconds.
    struct Process(ProcessCollector);

    pub fn process() -> impl Collector + 'static {
        Process(ProcessCollector::for_self())
    }

    impl Collector for Process {
        fn desc(&self) -> Vec<&Desc> {
            self.0.desc()
        }

        fn collect(&self) -> Vec<MetricFamily> {
            let mut families = self.0.collect();
            let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return families };
            let taken = usage.user_time() + usage.system_time();
            #[expect(
                clippy::cast_precision_loss,
                reason = "centuries of microseconds fit a double"
            )]
            let seconds = taken.num_microseconds() as f64 / 1e6;
            for family in &mut families {
                if family.name() == "process_cpu_seconds_total" {
                    for metric in family.mut_metric() {
                        let mut counter = Counter::default();
                        counter.set_value(seconds);
                        metric.set_counter(counter);
                    }
                }
            }
            families
        }
    }
}

/// Upper bounds in seconds for histograms of durations: 0.5 ms to 10 s, three to a decade.
pub const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

// Where metrics are served; part of every process's command line. No doc comment: clap would describe the process by it.
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

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::Instant;

    /// Seconds of a processor, by what Prometheus reads.
    fn taken() -> f64 {
        let text = super::text();
        let line = text.lines().find_map(|line| line.strip_prefix("process_cpu_seconds_total "));
        line.expect("the metric").parse().expect("a number")
    }

    #[test]
    fn processor_time_is_told_in_fractions_of_a_second() {
        let (before, begun) = (taken(), Instant::now());
        while taken() <= before {
            assert!(begun.elapsed().as_secs() < 10, "it stays at {before}");
        }
        assert!(taken() < before + 1.0, "a fraction comes first");
    }
}
