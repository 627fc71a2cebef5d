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
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    time::{Instant, timeout_at},
};
use tower::{Layer, Service};

use crate::{
    Body, BoxError, Limits, Match, Ownership, Refusal, RouteTable, Side, View,
    body::{Kept, Room},
    gate::Gate,
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

struct Shared<O> {
    owners: O,
    gates: HashMap<Arc<str>, Gate>,
    limits: Limits,
    room: Room,
    held: Arc<Semaphore>,
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
    let mut hold = Holding { shared: &shared, held: None, refused: None };
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
        hold.until_changed(&fenced, sent).await?;
    }
}

fn attempt(parts: &Parts, body: Body, choice: Choice) -> Request<Body> {
    let mut request = Request::from_parts(parts.clone(), body);
    request.extensions_mut().insert(choice);
    request
}

fn reads(method: &Method) -> bool {
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

/// What one request has waited for so far.
struct Holding<'a, O> {
    shared: &'a Shared<O>,
    /// Since when and until when it is held, once it is.
    held: Option<Held>,
    refused: Option<(Arc<str>, watch::Receiver<u64>)>,
}

struct Held {
    capability: Arc<str>,
    since: Instant,
    until: Instant,
    _place: OwnedSemaphorePermit,
}

type Chosen<G> = (Choice, Option<View>, Option<G>);

impl<O: Ownership> Holding<'_, O> {
    /// Who answers now; waits while nobody may.
    async fn choose(
        &mut self,
        capability: Option<&Arc<str>>,
        method: &Method,
        repeatable: bool,
    ) -> Result<Chosen<O::Guard>, Refusal> {
        let Some(name) = capability else {
            return Ok((Choice { side: Side::Monolith, epoch: 0 }, None, None));
        };
        if let Some(chosen) = self.may_send(name, method, repeatable) {
            return Ok(chosen);
        }
        let until = self.begin(name)?;
        loop {
            let changed = self.shared.owners.changed(name);
            if let Some(chosen) = self.may_send(name, method, repeatable) {
                return Ok(chosen);
            }
            timeout_at(until, changed).await.map_err(|_| Refusal::HeldTooLong(name.clone()))?;
        }
    }

    /// A read needs a fresh view. A write that cannot be repeated takes a guard first and looks again, so
    /// that a switch either waits for it or is seen by it.
    fn may_send(
        &self,
        name: &Arc<str>,
        method: &Method,
        repeatable: bool,
    ) -> Option<Chosen<O::Guard>> {
        let owners = &self.shared.owners;
        if reads(method) && !owners.may_read(name) {
            return None;
        }
        let guard = (!repeatable).then(|| owners.begin(name));
        let view = owners.view(name);
        if guard.is_some() && view.pending {
            return None;
        }
        Some((Choice { side: view.owner, epoch: view.epoch }, Some(view), guard))
    }

    /// Waits until another attempt may fare better: the view has changed, another held request was
    /// answered, or it is this one's turn to try.
    async fn until_changed(
        &mut self,
        name: &Arc<str>,
        mut sent: Option<View>,
    ) -> Result<(), Refusal> {
        let until = self.begin(name)?;
        let shared = self.shared;
        let gate = &shared.gates[name];
        self.refused.take_if(|(before, _)| before != name);
        let (_, openings) = self.refused.get_or_insert_with(|| (name.clone(), gate.openings()));
        let turn = async { tokio::join!(gate.turn()) };
        tokio::pin!(turn);
        loop {
            let changed = shared.owners.changed(name);
            let now = shared.owners.view(name);
            if sent.is_some_and(|sent| settled(sent, now)) {
                return Ok(());
            }
            sent = Some(now);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => {
                    return Err(Refusal::HeldTooLong(name.clone()));
                }
                () = changed => {}
                _ = openings.changed() => return Ok(()),
                _ = &mut turn => return Ok(()),
            }
        }
    }

    /// Takes a place among the held, once.
    fn begin(&mut self, name: &Arc<str>) -> Result<Instant, Refusal> {
        if let Some(held) = &self.held {
            return Ok(held.until);
        }
        let permit = self.shared.held.clone().try_acquire_owned();
        let place = permit.map_err(|_| Refusal::TooManyHeld(name.clone()))?;
        let since = Instant::now();
        let until = since + self.shared.limits.hold;
        self.held = Some(Held { capability: name.clone(), since, until, _place: place });
        Ok(until)
    }

    /// The request has an answer that is not a refusal.
    fn answered(&self) {
        if let Some((name, _)) = &self.refused {
            self.shared.gates[name].open();
        }
        if let Some(held) = &self.held {
            let milliseconds = u64::try_from(held.since.elapsed().as_millis()).unwrap_or(u64::MAX);
            tracing::info!(capability = &*held.capability, milliseconds, "answered a held request");
        }
    }
}

/// Whether a refusal under the one view may be gone under the other: the owner changed, or the switch
/// that was pending is over.
fn settled(before: View, now: View) -> bool {
    before.epoch != now.epoch || before.pending && !now.pending
}
