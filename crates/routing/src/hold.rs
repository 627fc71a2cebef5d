//! Chooses who answers, and holds what cannot be answered yet.

use std::{
    collections::HashMap,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{HeaderName, Method, Request, Response, request::Parts};
use tokio::sync::Semaphore;
use tower::{Layer, Service};

use crate::{
    Body, BoxError, Limits, Match, Ownership, Refusal, RouteTable, Side,
    body::{Kept, Room},
    gate::Gate,
    holding::Holding,
};

/// The header by which an owner says that it met the fence before it had done anything:
/// `Ficus-Fenced: <capability> <epoch>`.
pub const FENCED: HeaderName = HeaderName::from_static("ficus-fenced");

/// Who is to answer this attempt; an extension of the request that goes down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    pub side: Side,
    /// 0 where no capability was named.
    pub epoch: i64,
}

/// Chooses the owner of each request's capability, notes the [`Choice`], and repeats on `Ficus-Fenced` and
/// on nothing else. Errors are those of the service below, or a [`Refusal`].
pub struct HoldLayer<O>(Arc<Shared<O>>);

impl<O: Ownership> HoldLayer<O> {
    pub fn new(owners: O, table: &RouteTable, limits: Limits) -> Self {
        let gates = table.capabilities().iter().map(|name| (name.clone(), Gate::new())).collect();
        let (room, held) = (Room::new(&limits), Arc::new(Semaphore::new(limits.held)));
        Self(Arc::new(Shared { owners, gates, limits, room, held }))
    }
}

impl<O> Clone for HoldLayer<O> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S, O> Layer<S> for HoldLayer<O> {
    type Service = Hold<S, O>;

    fn layer(&self, inner: S) -> Self::Service {
        Hold { inner, shared: self.0.clone() }
    }
}

/// See [`HoldLayer`].
pub struct Hold<S, O> {
    inner: S,
    shared: Arc<Shared<O>>,
}

impl<S: Clone, O> Clone for Hold<S, O> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), shared: self.shared.clone() }
    }
}

impl<S, O, B, R> Service<Request<B>> for Hold<S, O>
where
    S: Service<Request<Body>, Response = Response<R>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    O: Ownership,
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, BoxError>> + Send>>;

    /// Always ready: the service below is asked once for each attempt.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        Box::pin(answer(self.shared.clone(), self.inner.clone(), request))
    }
}

pub(crate) struct Shared<O> {
    pub owners: O,
    pub gates: HashMap<Arc<str>, Gate>,
    pub limits: Limits,
    room: Room,
    pub held: Arc<Semaphore>,
}

/// One request, from its first attempt to its answer.
async fn answer<S, O, B, R>(
    shared: Arc<Shared<O>>,
    mut inner: S,
    request: Request<B>,
) -> Result<Response<R>, BoxError>
where
    S: Service<Request<Body>, Response = Response<R>>,
    S::Error: Into<BoxError>,
    O: Ownership,
    B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let capability = parts.extensions.get::<Match>().map(|found| found.route.capability.clone());
    let mut kept = shared.keep(&parts.method, body).await?;
    let mut hold = Holding::new(&shared);
    loop {
        let (choice, sent, guard) =
            hold.choose(capability.as_ref(), &parts.method, kept.repeatable()).await?;
        poll_fn(|context| inner.poll_ready(context)).await.map_err(Into::into)?;
        let attempt = attempt(&parts, kept.body(), choice);
        let response = inner.call(attempt).await.map_err(Into::into)?;
        drop(guard);
        let Some(fenced) = shared.fenced(&response) else {
            hold.answered();
            return Ok(response);
        };
        if !kept.repeatable() {
            return Err(Refusal::NotRepeatable(fenced).into());
        }
        drop(response);
        let sent = sent.filter(|_| capability.as_ref() == Some(&fenced));
        hold.was_refused(&fenced, sent).await?;
    }
}

fn attempt(parts: &Parts, body: Body, choice: Choice) -> Request<Body> {
    let mut request = Request::from_parts(parts.clone(), body);
    request.extensions_mut().insert(choice);
    request
}

pub(crate) fn reads(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

impl<O: Ownership> Shared<O> {
    /// While any move is unfinished every body that fits is kept: a request of one capability may write
    /// into another's tables inside the monolith, and meet that one's fence.
    async fn keep<B>(&self, method: &Method, body: B) -> Result<Kept, BoxError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if reads(method) || self.gates.keys().any(|name| self.owners.view(name).unfinished) {
            self.room.keep(body).await
        } else {
            Ok(Kept::once(body))
        }
    }

    /// The capability whose fence refused the request; one that no route names is none of ours.
    fn fenced<R>(&self, response: &Response<R>) -> Option<Arc<str>> {
        let value = response.headers().get(FENCED)?.to_str().ok()?;
        let name = value.split(' ').next()?;
        self.gates.get_key_value(name).map(|(name, _)| name.clone())
    }
}
