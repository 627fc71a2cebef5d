//! The server's end.

use std::{
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
};

use ficus_process::trace;
use http::{Request, Response};
use tower::{Layer, Service};
use tracing::Instrument as _;

use super::call::{Call, End, Instruments, Protocol};

static SERVER: LazyLock<Instruments> = LazyLock::new(|| Instruments::new(End::Server));

/// Goes on with the caller's trace and counts every request, for HTTP and gRPC servers alike.
#[derive(Debug, Clone, Copy)]
pub struct ServedLayer(Protocol);

impl ServedLayer {
    /// Of a server that speaks HTTP.
    pub fn http() -> Self {
        Self(Protocol::Http)
    }

    /// Of a server that speaks gRPC.
    pub fn grpc() -> Self {
        Self(Protocol::Grpc)
    }
}

/// See [`ServedLayer`].
#[derive(Debug, Clone)]
pub struct Served<S> {
    inner: S,
    protocol: Protocol,
}

impl<S> Layer<S> for ServedLayer {
    type Service = Served<S>;

    fn layer(&self, inner: S) -> Served<S> {
        Served { inner, protocol: self.0 }
    }
}

impl<S, A, B> Service<Request<A>> for Served<S>
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
        let mut call = Call::begin(&SERVER, self.protocol, None, &mut request);
        let given = request.headers().get(trace::TRACEPARENT);
        trace::continues(call.span(), given.and_then(|text| text.to_str().ok()));
        let span = call.span().clone();
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
