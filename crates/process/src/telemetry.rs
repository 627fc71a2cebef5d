//! What a process says of itself: logs on standard error, spans over OTLP, metrics for Prometheus.
//!
//! Logs are JSON with the ids of the span they belong to; `RUST_LOG` filters them. Spans always have ids, so
//! that a trace is carried on; they leave the process only where `OTEL_EXPORTER_OTLP_ENDPOINT` says (gRPC).
//! Sampling and batching follow OpenTelemetry's environment variables.

use std::{sync::mpsc, thread, time::Duration};

use anyhow::Context;
use opentelemetry::{global, trace::TracerProvider};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::{
    Resource, metrics::SdkMeterProvider, propagation::TraceContextPropagator,
    trace::SdkTracerProvider,
};
use tokio::runtime::Runtime;
use tracing::{Level, Metadata, Subscriber, subscriber::Interest};
use tracing_subscriber::{
    Layer,
    filter::{LevelFilter, Targets, dynamic_filter_fn},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::metrics;

const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"];
/// Libraries whose own spans would only repeat ours, or trace their own export.
const NOT_EXPORTED: [&str; 7] =
    ["h2", "hyper", "tonic", "tower", "opentelemetry", "sqlx", "rustls"];
/// How long the last spans may take to leave.
const FLUSH: Duration = Duration::from_secs(2);

/// Logs, traces and metrics of this process, until it ends.
pub(crate) struct Telemetry {
    tracer: SdkTracerProvider,
    /// The exporter's own, so that it outlives the one that it reports of.
    _runtime: Option<Runtime>,
}

impl Telemetry {
    /// Starts all three under this service name.
    pub(crate) fn start(name: &'static str) -> anyhow::Result<Self> {
        let resource = Resource::builder().with_service_name(name).build();
        let meter = SdkMeterProvider::builder()
            .with_resource(resource.clone())
            .with_reader(metrics::reader()?)
            .build();
        global::set_meter_provider(meter);

        let mut tracer = SdkTracerProvider::builder().with_resource(resource);
        let wanted = ENDPOINTS.iter().any(|name| std::env::var_os(name).is_some());
        let runtime = wanted.then(exporting_runtime).transpose()?;
        if let Some(runtime) = &runtime {
            let _entered = runtime.enter();
            tracer = tracer.with_batch_exporter(exporter()?);
        }
        let tracer = tracer.build();

        let filter = std::env::var("RUST_LOG").ok().and_then(|given| given.parse().ok());
        let filter = filter.unwrap_or_else(|| Targets::new().with_default(LevelFilter::INFO));
        let logs = json_subscriber::layer()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_opentelemetry_ids(true)
            .with_writer(std::io::stderr)
            .with_filter(filter);
        tracing_subscriber::registry().with(spans(&tracer)).with(logs).init();
        Ok(Self { tracer, _runtime: runtime })
    }

    /// Sends the spans that are left, for two seconds at most.
    pub(crate) fn end(self) {
        let (done, ended) = mpsc::channel();
        thread::spawn(move || {
            let _ = self.tracer.shutdown_with_timeout(FLUSH);
            let _ = done.send(());
        });
        let _ = ended.recv_timeout(FLUSH);
    }
}

/// Gives spans ids without logging or exporting anything: for tests of what carries a trace.
pub fn trace_only() {
    let tracer = SdkTracerProvider::builder().build();
    // A second call finds the first one's, which is as good.
    let _ = tracing_subscriber::registry().with(spans(&tracer)).try_init();
}

fn spans<S>(tracer: &SdkTracerProvider) -> impl Layer<S> + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    global::set_text_map_propagator(TraceContextPropagator::new());
    tracing_opentelemetry::layer()
        .with_tracer(tracer.tracer("ficus"))
        .with_location(false)
        .with_threads(false)
        .with_target(false)
        .with_tracked_inactivity(false)
        .with_filter(
            dynamic_filter_fn(|metadata, _| exported(metadata))
                .with_max_level_hint(LevelFilter::INFO)
                .with_callsite_filter(asked_each_time),
        )
}

/// A filter that is asked once and for all applies to the next span what it said of something else, and the
/// span is lost (<https://github.com/tokio-rs/tracing/issues/2519>).
fn asked_each_time(metadata: &'static Metadata<'static>) -> Interest {
    if exported(metadata) { Interest::sometimes() } else { Interest::never() }
}

/// Our own spans, and what went wrong in them.
fn exported(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    let level = if metadata.is_span() { Level::INFO } else { Level::WARN };
    *metadata.level() <= level && !NOT_EXPORTED.iter().any(|name| library.starts_with(name))
}

fn exporting_runtime() -> anyhow::Result<Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("otlp")
        .enable_all()
        .build()
        .context("failed to start the exporter's runtime")
}

fn exporter() -> anyhow::Result<SpanExporter> {
    SpanExporter::builder()
        .with_tonic()
        .build()
        .context("failed to read OTEL_EXPORTER_OTLP_ENDPOINT; it is like http://127.0.0.1:4317")
}
