//! The trace that a request belongs to.

use axum::{extract::Request, middleware::Next, response::Response};
use ficus_process::trace::{is_traceparent, new_traceparent};
use http::{HeaderName, HeaderValue};

/// `traceparent` of W3C Trace Context.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");
const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Goes on with the caller's trace. A malformed `traceparent` is dropped with its `tracestate`, and a new
/// trace begins.
pub async fn continued(mut request: Request, next: Next) -> Response {
    let headers = request.headers_mut();
    let mut given = headers.get_all(TRACEPARENT).iter();
    let sound = match (given.next(), given.next()) {
        (Some(value), None) => value.to_str().is_ok_and(is_traceparent),
        _ => false,
    };
    if !sound {
        headers.remove(TRACESTATE);
        if let Ok(value) = HeaderValue::try_from(new_traceparent()) {
            headers.insert(TRACEPARENT, value);
        }
    }
    next.run(request).await
}
