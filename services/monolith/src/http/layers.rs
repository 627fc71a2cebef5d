//! What stands around every route.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ficus_pg::progress;
use ficus_rpc::{Drained, Error, observe};

use super::Ended;

/// The largest body, in bytes.
pub const BODY_LIMIT: usize = 1024 * 1024;

/// After this long a request is given up; its transaction rolls back.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// Runs one request: within the time limit, counted under its route, and with a note of what it has done so
/// far, by which a refusal by the fence is known to have left nothing behind.
pub async fn around(request: Request, next: Next) -> Response {
    if let Some(path) = request.extensions().get::<MatchedPath>() {
        observe::route(request.extensions(), path.as_str());
    }
    match progress::scope(tokio::time::timeout(TIME_LIMIT, next.run(request))).await {
        Ok(response) => response,
        Err(_) => Ended::from(Error::deadline("deadline", "no answer within 10 s")).into_response(),
    }
}

/// Has a body that a refusal leaves unread read to its end, so that the refusal arrives.
pub async fn drained(request: Request, next: Next) -> Response {
    next.run(request.map(|body| Body::new(Drained::new(body)))).await
}

/// What no route names.
pub async fn not_found() -> Ended {
    Error::not_found("not_found", "there is nothing here").into()
}
