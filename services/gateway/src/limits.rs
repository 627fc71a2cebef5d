//! How large a request may be, and how long it may take.

use std::time::{Duration, Instant};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http_body_util::Limited;

use crate::{config::Limits, error};

/// Until when an answer is waited for; an extension of the request.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Instant);

impl Deadline {
    /// Notes that the request ends this long from now.
    pub fn within<B>(limit: Duration, mut request: http::Request<B>) -> http::Request<B> {
        request.extensions_mut().insert(Self(Instant::now() + limit));
        request
    }

    /// What is left.
    pub fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// Refuses a body that says that it is too large; one that says nothing fails where it becomes so.
pub async fn body(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    if request.body().size_hint().lower() > limits.body_limit as u64 {
        return error::too_large().response();
    }
    let limited = |body| Body::new(Limited::new(body, limits.body_limit));
    next.run(request.map(limited)).await
}
