//! How large a request may be, and how long it may take.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use axum::{
    body::{Body, HttpBody},
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use bytes::{Bytes, BytesMut};
use ficus_routing::Resumed;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::load_shed::error::Overloaded;

use crate::{config::Limits, error, framing::Ambiguity};

/// Most requests of an API are smaller. What is read ahead is kept for each connection.
const AHEAD: usize = 16 << 10;
/// Of so many places one is for a request whose body is on its way still.
const SLOW: usize = 8;

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

/// Places for requests whose bodies have not arrived whole.
#[derive(Debug, Clone)]
pub struct Arrivals(Arc<Semaphore>);

impl Arrivals {
    pub fn of(limits: Limits) -> Self {
        Self(Arc::new(Semaphore::new((limits.in_flight / SLOW).max(1))))
    }
}

/// Lets a request go on when its body has arrived, or the first part of it if there is a place for those. So whoever
/// sends slowly takes nobody's place among the requests that are worked on, or few of them. What turns out to end in two
/// ways is refused.
pub async fn arrived(State(arrivals): State<Arrivals>, request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    let (read, rest) = match read_ahead(body).await {
        Ok(read) => read,
        Err(error) => return error::answer(error.into()).await,
    };
    if parts.extensions.get::<Ambiguity>().is_some_and(Ambiguity::seen) {
        return error::ambiguous().response();
    }
    let body = match rest {
        None => read.into(),
        Some(rest) => match arrivals.0.try_acquire_owned() {
            Ok(place) => Body::new(Resumed::new(read, Arriving { rest, place: Some(place) })),
            Err(_) => return error::answer(Overloaded::new().into()).await,
        },
    };
    next.run(Request::from_parts(parts, body)).await
}

/// The first part, and the rest if there is any.
async fn read_ahead(mut body: Body) -> Result<(Bytes, Option<Body>), axum::Error> {
    let mut read = BytesMut::new();
    while read.len() < AHEAD {
        let Some(frame) = body.frame().await else { return Ok((read.freeze(), None)) };
        if let Ok(data) = frame?.into_data() {
            read.extend_from_slice(&data);
        }
    }
    Ok((read.freeze(), (!body.is_end_stream()).then_some(body)))
}

/// A body on its way, which has a place until it is there.
struct Arriving {
    rest: Body,
    place: Option<OwnedSemaphorePermit>,
}

impl HttpBody for Arriving {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.rest).poll_frame(context);
        if self.rest.is_end_stream() || matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            self.place = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.rest.size_hint()
    }
}
