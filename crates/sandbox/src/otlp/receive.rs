//! Wire to spans: what an exporter sends, less what is malformed.

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::TraceService,
    },
    common::v1::{AnyValue, KeyValue, any_value::Value as Wire},
    trace::v1::{self as wire, span::SpanKind, status::StatusCode},
};
use serde_json::{Map, Value};
use tonic::{Request, Response, Status};

use super::{
    id::{SpanId, TraceId},
    span::{self, Kind, Link, Span},
    store::Spans,
};

/// OpenTelemetry's own word for a process that does not say its name.
const UNNAMED: &str = "unknown_service";

pub struct Receiver {
    spans: Arc<Spans>,
}

impl Receiver {
    pub fn new(spans: Arc<Spans>) -> Self {
        Self { spans }
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    /// Malformed spans are refused by number, as OTLP's partial success says; the others are kept.
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let (good, refused) = sort(request.into_inner());
        let spans = Arc::clone(&self.spans);
        let kept = tokio::task::spawn_blocking(move || spans.append(&good)).await;
        kept.map_err(std::io::Error::other).flatten().map_err(|error| {
            tracing::error!(%error, "failed to keep spans");
            Status::unavailable("failed to keep the spans")
        })?;
        Ok(Response::new(ExportTraceServiceResponse { partial_success: partial(&refused) }))
    }
}

/// What is wrong with a span.
type Refusal = &'static str;

fn sort(request: ExportTraceServiceRequest) -> (Vec<Span>, Vec<Refusal>) {
    let mut good = Vec::new();
    let mut refused = Vec::new();
    for resource in request.resource_spans {
        let service = service(resource.resource.map(|resource| resource.attributes));
        for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            match read(span, &service) {
                Ok(span) => good.push(span),
                Err(refusal) => refused.push(refusal),
            }
        }
    }
    (good, refused)
}

fn partial(refused: &[Refusal]) -> Option<ExportTracePartialSuccess> {
    let first = refused.first()?;
    tracing::warn!(spans = refused.len(), error = first, "refused malformed spans");
    Some(ExportTracePartialSuccess {
        rejected_spans: i64::try_from(refused.len()).unwrap_or(i64::MAX),
        error_message: (*first).to_owned(),
    })
}

fn service(attributes: Option<Vec<KeyValue>>) -> String {
    let name = attributes.map(flat).and_then(|mut all| all.remove("service.name"));
    match name {
        Some(Value::String(name)) if !name.is_empty() => name,
        _ => UNNAMED.to_owned(),
    }
}

fn read(span: wire::Span, service: &str) -> Result<Span, Refusal> {
    if span.end_time_unix_nano < span.start_time_unix_nano {
        return Err("a span ends before it starts");
    }
    let status = span.status.unwrap_or_default();
    Ok(Span {
        trace_id: TraceId::from_bytes(&span.trace_id).ok_or("a trace_id is no 16 bytes")?,
        id: SpanId::from_bytes(&span.span_id).ok_or("a span_id is no 8 bytes")?,
        parent: parent(&span.parent_span_id)?,
        links: span.links.iter().map(link).collect::<Result<_, _>>()?,
        service: service.to_owned(),
        name: span.name,
        kind: kind(span.kind),
        start_unix_nano: span.start_time_unix_nano,
        end_unix_nano: span.end_time_unix_nano,
        attributes: flat(span.attributes),
        status: code(status.code),
        status_message: status.message,
    })
}

fn parent(bytes: &[u8]) -> Result<Option<SpanId>, Refusal> {
    if bytes.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    SpanId::from_bytes(bytes).map(Some).ok_or("a parent_span_id is no 8 bytes")
}

fn link(link: &wire::span::Link) -> Result<Link, Refusal> {
    let ids = TraceId::from_bytes(&link.trace_id).zip(SpanId::from_bytes(&link.span_id));
    let (trace_id, span_id) = ids.ok_or("a link names no span")?;
    Ok(Link { trace_id, span_id })
}

fn kind(kind: i32) -> Kind {
    match SpanKind::try_from(kind) {
        Ok(SpanKind::Internal) => Kind::Internal,
        Ok(SpanKind::Server) => Kind::Server,
        Ok(SpanKind::Client) => Kind::Client,
        Ok(SpanKind::Producer) => Kind::Producer,
        Ok(SpanKind::Consumer) => Kind::Consumer,
        Ok(SpanKind::Unspecified) | Err(_) => Kind::Unspecified,
    }
}

fn code(code: i32) -> span::Status {
    match StatusCode::try_from(code) {
        Ok(StatusCode::Ok) => span::Status::Ok,
        Ok(StatusCode::Error) => span::Status::Error,
        Ok(StatusCode::Unset) | Err(_) => span::Status::Unset,
    }
}

/// Attributes by name; of a name that comes twice the last is kept.
fn flat(attributes: Vec<KeyValue>) -> Map<String, Value> {
    attributes.into_iter().map(|one| (one.key, value(one.value))).collect()
}

fn value(wire: Option<AnyValue>) -> Value {
    match wire.and_then(|any| any.value) {
        Some(Wire::StringValue(text)) => text.into(),
        Some(Wire::BoolValue(truth)) => truth.into(),
        Some(Wire::IntValue(number)) => number.into(),
        Some(Wire::DoubleValue(number)) => number.into(),
        Some(Wire::ArrayValue(array)) => {
            array.values.into_iter().map(|one| value(Some(one))).collect()
        }
        Some(Wire::KvlistValue(list)) => Value::Object(flat(list.values)),
        Some(Wire::BytesValue(bytes)) => bytes.into(),
        // Strings by reference belong to profiles.
        Some(Wire::StringValueStrindex(_)) | None => Value::Null,
    }
}
