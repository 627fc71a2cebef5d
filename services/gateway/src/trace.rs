//! The trace that a request belongs to.

use axum::{extract::Request, middleware::Next, response::Response};
use ficus_process::trace::{TRACEPARENT, is_traceparent};
use http::HeaderName;

const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Drops a `traceparent` that is malformed or given twice, with its `tracestate`: a new trace begins then.
pub async fn sound(mut request: Request, next: Next) -> Response {
    let headers = request.headers_mut();
    let mut given = headers.get_all(TRACEPARENT).iter();
    let sound = match (given.next(), given.next()) {
        (Some(value), None) => value.to_str().is_ok_and(is_traceparent),
        _ => false,
    };
    if !sound {
        headers.remove(TRACEPARENT);
        headers.remove(TRACESTATE);
    }
    next.run(request).await
}
