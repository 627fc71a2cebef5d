//! How large a request may be, and how long it may take.

use std::time::{Duration, Instant};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use bytes::BytesMut;
use futures::{StreamExt, stream};
use http_body::Frame;
use http_body_util::{BodyExt, BodyStream, Limited, StreamBody};

use crate::{config::Limits, error};

/// Most requests of an API are smaller. What is read ahead is kept for each connection.
const AHEAD: usize = 16 << 10;

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

/// Lets a request go on when its body has arrived, or the first part of it, so that those who send slowly take nobody's
/// place among the requests that are worked on.
pub async fn arrived(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match read_ahead(body).await {
        Ok(body) => next.run(Request::from_parts(parts, body)).await,
        Err(error) => error::answer(error.into()).await,
    }
}

async fn read_ahead(mut body: Body) -> Result<Body, axum::Error> {
    let mut read = BytesMut::new();
    while read.len() < AHEAD {
        let Some(frame) = body.frame().await else { return Ok(read.freeze().into()) };
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data);
        }
    }
    let first = stream::iter([Ok(Frame::data(read.freeze()))]);
    Ok(Body::new(StreamBody::new(first.chain(BodyStream::new(body)))))
}
