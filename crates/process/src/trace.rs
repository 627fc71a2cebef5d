//! The W3C trace context of what is being worked on, carried from a request to its rows and messages as the
//! text of a `traceparent`.

use std::collections::HashMap;

use opentelemetry::{Context, global, trace::TraceContextExt as _};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// The name of the header, in HTTP, gRPC, Kafka and SMTP.
pub const TRACEPARENT: &str = "traceparent";

/// Makes the span a child of the one that `traceparent` names; without one, or with a malformed one, it goes
/// on with the span it was created in.
pub fn continues(span: &Span, traceparent: Option<&str>) {
    if let Some(context) = traceparent.and_then(context) {
        // It fails for a span that nobody records.
        let _ = span.set_parent(context);
    }
}

/// Gives the span a name that was found out after it began; asked for only if the span is recorded.
pub fn rename(span: &Span, name: impl FnOnce() -> String) {
    // The layer takes a new name only before the span has children.
    let context = span.context();
    let begun = context.span();
    if begun.is_recording() {
        begun.update_name(name());
    }
}

/// Makes the span name `traceparent`'s as one of several that it works for.
pub fn links(span: &Span, traceparent: Option<&str>) {
    if let Some(context) = traceparent.and_then(context) {
        span.add_link(context.span().span_context().clone());
    }
}

/// The `traceparent` of the current span, if there is one.
pub fn current_traceparent() -> Option<String> {
    traceparent(&Span::current())
}

/// The `traceparent` that names this span.
pub fn traceparent(span: &Span) -> Option<String> {
    let mut carrier = HashMap::new();
    global::get_text_map_propagator(|propagator| {
        propagator.inject_context(&span.context(), &mut carrier);
    });
    carrier.remove(TRACEPARENT)
}

fn context(traceparent: &str) -> Option<Context> {
    if !is_traceparent(traceparent) {
        return None;
    }
    let carrier = HashMap::from([(TRACEPARENT.to_owned(), traceparent.to_owned())]);
    let context =
        global::get_text_map_propagator(|all| all.extract_with_context(&Context::new(), &carrier));
    context.span().span_context().is_valid().then_some(context)
}

/// Whether the text is a `traceparent` of version 00 (<https://www.w3.org/TR/trace-context/>).
pub fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts.as_slice() else { return false };
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let some = |part: &str| part.bytes().any(|b| b != b'0');
    *version == "00"
        && hex(trace, 32)
        && some(trace)
        && hex(span, 16)
        && some(span)
        && hex(flags, 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace_only;

    const GIVEN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn malformed_ones_are_told() {
        assert!(is_traceparent(GIVEN));
        for text in [
            "",
            "00-0-0-0",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        ] {
            assert!(!is_traceparent(text), "{text}");
        }
    }

    #[test]
    fn a_span_goes_on_with_the_trace_it_was_given() {
        trace_only();
        let span = tracing::info_span!("work");
        continues(&span, Some(GIVEN));
        let carried = traceparent(&span).expect("a span has a context");
        assert_eq!(carried[..36], GIVEN[..36], "another trace: {carried}");
        assert_ne!(carried, GIVEN, "it is a span of its own");
        assert_eq!(span.in_scope(current_traceparent), Some(carried));
    }

    #[test]
    fn a_malformed_traceparent_begins_a_trace() {
        trace_only();
        let span = tracing::info_span!("work");
        continues(&span, Some("00-0-0-0"));
        assert!(is_traceparent(&traceparent(&span).expect("a span has a context")));
        assert_eq!(current_traceparent(), None);
    }

    #[test]
    fn what_was_said_of_a_library_is_not_said_of_the_next_span() {
        trace_only();
        let other = tracing::info_span!(target: "h2", "frame");
        let other = other.metadata().expect("a span has metadata");
        // As a library does before it words an event that nobody may want.
        tracing::dispatcher::get_default(|all| all.enabled(other));
        assert!(traceparent(&tracing::info_span!("work")).is_some());
    }
}
