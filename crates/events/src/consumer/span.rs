//! The spans of what a consumer does.

use ficus_process::trace;
use tracing::Span;

use crate::Event;

/// One event's effects, in the trace of who published it.
pub fn event(event: &Event) -> Span {
    let span = tracing::info_span!(
        "process",
        otel.name = format!("process {}", event.topic),
        otel.kind = "consumer",
        messaging.system = "kafka",
        messaging.message.key = event.key
    );
    trace::continues(&span, event.traceparent.as_deref());
    span
}

/// The transaction of a batch works for several traces at once, so it names them; for one it belongs to it.
pub fn batch(events: &[&Event]) -> Span {
    let span = tracing::info_span!(
        "batch",
        otel.name = "apply a batch",
        otel.kind = "consumer",
        messaging.batch.message_count = events.len()
    );
    match events {
        [event] => trace::continues(&span, event.traceparent.as_deref()),
        several => {
            for event in several {
                trace::links(&span, event.traceparent.as_deref());
            }
        }
    }
    span
}
