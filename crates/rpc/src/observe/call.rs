//! One call: what it is named, how it ended, and the numbers that are kept of it.

use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};

use ficus_process::trace;
use http::{Extensions, Method, Request, Response};
use opentelemetry::{
    KeyValue, global,
    metrics::{Histogram, UpDownCounter},
};
use tracing::{Span, field::Empty};

/// The template that a request's path was found under, once it was found.
#[derive(Debug, Clone, Default)]
struct Route(Arc<OnceLock<Arc<str>>>);

/// Names the route of a request that a [`Served`](super::Served) stands around. The first name stays.
pub fn route(extensions: &Extensions, template: impl Into<Arc<str>>) {
    if let Some(route) = extensions.get::<Route>() {
        let _ = route.0.set(template.into());
    }
}

/// What the wire carries. Told where it is wired: a caller could write any content type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Http,
    Grpc,
}

/// Which end of the wire this process is.
#[derive(Debug, Clone, Copy)]
pub enum End {
    Server,
    Client,
}

/// The instruments of one end.
pub struct Instruments {
    end: End,
    http: Histogram<f64>,
    rpc: Histogram<f64>,
    active: UpDownCounter<i64>,
}

impl Instruments {
    pub fn new(end: End) -> Self {
        let meter = global::meter("ficus-rpc");
        let side = end.name();
        let duration = |name: String, what| {
            let bounds = ficus_process::metrics::SECONDS.to_vec();
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(what);
            histogram.with_boundaries(bounds).build()
        };
        Self {
            end,
            http: duration(format!("http.{side}.request.duration"), "Duration of HTTP requests"),
            rpc: duration(format!("rpc.{side}.call.duration"), "Duration of gRPC calls"),
            active: meter
                .i64_up_down_counter(format!("{side}.active_calls"))
                .with_description("HTTP requests and gRPC calls under way")
                .build(),
        }
    }
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// A call under way; it is counted when this is dropped, also when nobody waits for it any more.
pub struct Call {
    instruments: &'static Instruments,
    span: Span,
    begun: Instant,
    method: Method,
    /// The RPC's full name.
    rpc: Option<String>,
    peer: Option<Arc<str>>,
    route: Route,
    status: Option<String>,
    is_fault: bool,
}

impl Call {
    /// Begins now; the request is told where to name its route.
    pub fn begin<B>(
        instruments: &'static Instruments,
        protocol: Protocol,
        peer: Option<Arc<str>>,
        request: &mut Request<B>,
    ) -> Self {
        let rpc = (protocol == Protocol::Grpc)
            .then(|| request.uri().path().trim_start_matches('/').to_owned());
        let method = request.method().clone();
        let name = rpc.clone().unwrap_or_else(|| method.to_string());
        let span = tracing::info_span!(
            "call",
            otel.name = name,
            otel.kind = instruments.end.name(),
            otel.status_code = Empty,
            http.route = Empty,
            status = Empty,
            peer = peer.as_deref(),
        );
        let route = Route::default();
        if let End::Server = instruments.end {
            request.extensions_mut().insert(route.clone());
        }
        instruments.active.add(1, &[]);
        let begun = Instant::now();
        Self { instruments, span, begun, method, rpc, peer, route, status: None, is_fault: true }
    }

    pub fn span(&self) -> &Span {
        &self.span
    }

    /// Notes how it ended. An RPC that fails after its head was sent counts as answered.
    pub fn answered<B>(&mut self, response: &Response<B>) {
        if self.rpc.is_some() {
            let code = response.headers().get("grpc-status").and_then(|code| code.to_str().ok());
            let code = code.unwrap_or("0");
            // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS: the server's.
            self.is_fault = matches!(code, "2" | "4" | "12" | "13" | "14" | "15");
            if code == "12" {
                // There is no such method, so its name is the caller's.
                self.rpc = Some("_OTHER".to_owned());
            }
            self.status = Some(code.to_owned());
        } else {
            self.is_fault = response.status().is_server_error();
            self.status = Some(response.status().as_str().to_owned());
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let status = self.status.take().unwrap_or_else(|| "none".to_owned());
        self.span.record("status", &*status);
        if self.is_fault {
            self.span.record("otel.status_code", "ERROR");
        }
        let mut labels = Vec::with_capacity(4);
        labels.extend(self.peer.take().map(|peer| KeyValue::new("server.address", peer)));
        let histogram = if let Some(rpc) = self.rpc.take() {
            labels.push(KeyValue::new("rpc.method", rpc));
            labels.push(KeyValue::new("rpc.response.status_code", status));
            &self.instruments.rpc
        } else {
            labels.push(KeyValue::new("http.request.method", known(&self.method)));
            labels.push(KeyValue::new("http.response.status_code", status));
            if let Some(route) = self.route.0.get() {
                self.span.record("http.route", &**route);
                trace::rename(&self.span, || format!("{} {route}", self.method));
                labels.push(KeyValue::new("http.route", route.clone()));
            }
            &self.instruments.http
        };
        histogram.record(self.begun.elapsed().as_secs_f64(), &labels);
        self.instruments.active.add(-1, &[]);
    }
}

/// A caller cannot make a label of any word.
fn known(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "_OTHER",
    }
}
