//! The client's end.

use std::{
    pin::Pin,
    sync::{Arc, LazyLock},
    task::{Context, Poll},
};

use ficus_process::trace;
use http::{HeaderName, HeaderValue, Request, Response};
use tower::{Layer, Service};
use tracing::Instrument as _;

use super::call::{Call, End, Instruments, Protocol};

static CLIENT: LazyLock<Instruments> = LazyLock::new(|| Instruments::new(End::Client));

/// Sends the trace along with every request and counts it, for HTTP and gRPC clients alike.
#[derive(Debug, Clone)]
pub struct CalledLayer {
    protocol: Protocol,
    peer: Arc<str>,
}

/// See [`CalledLayer`].
#[derive(Debug, Clone)]
pub struct Called<S> {
    inner: S,
    protocol: Protocol,
    peer: Arc<str>,
}

impl CalledLayer {
    /// Of a client that speaks HTTP; `peer` names the other end in metrics and traces.
    pub fn http(peer: &str) -> Self {
        Self { protocol: Protocol::Http, peer: peer.into() }
    }

    /// Of a client that speaks gRPC; `peer` names the other end in metrics and traces.
    pub fn grpc(peer: &str) -> Self {
        Self { protocol: Protocol::Grpc, peer: peer.into() }
    }
}

impl<S> Layer<S> for CalledLayer {
    type Service = Called<S>;

    fn layer(&self, inner: S) -> Called<S> {
        Called { inner, protocol: self.protocol, peer: self.peer.clone() }
    }
}

impl<S, A, B> Service<Request<A>> for Called<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Error: Send,
{
    type Response = Response<B>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<B>, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<A>) -> Self::Future {
        let mut call = Call::begin(&CLIENT, self.protocol, Some(self.peer.clone()), &mut request);
        let span = call.span().clone();
        let along = trace::traceparent(&span).and_then(|text| HeaderValue::try_from(text).ok());
        if let Some(text) = along {
            request.headers_mut().insert(HeaderName::from_static(trace::TRACEPARENT), text);
        }
        let answer = span.in_scope(|| self.inner.call(request));
        Box::pin(
            async move {
                let response = answer.await?;
                call.answered(&response);
                Ok(response)
            }
            .instrument(span),
        )
    }
}
