//! Keeps a request's body, so that the request can be made again.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Any error of a body or of the service below.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The body of the requests that go down, whatever it came as.
#[derive(Debug)]
pub struct Body(UnsyncBoxBody<Bytes, BoxError>);

impl Body {
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(body.map_err(Into::into).boxed_unsync())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::new(Full::new(bytes))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Pin::new(&mut self.0).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// What was read of a body already, and then the rest as it comes. It is as long as it was told to be: an owner would
/// be sent chunks for a length else, which not every server takes.
#[derive(Debug)]
pub struct Resumed<B> {
    read: Bytes,
    rest: B,
}

impl<B> Resumed<B> {
    pub fn new(read: Bytes, rest: B) -> Self {
        Self { read, rest }
    }
}

impl<B: http_body::Body<Data = Bytes> + Unpin> http_body::Body for Resumed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.rest).poll_frame(context);
        }
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.read)))))
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (read, rest) = (self.read.len() as u64, self.rest.size_hint());
        let mut hint = SizeHint::new();
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint.set_lower(rest.lower().saturating_add(read));
        hint
    }
}

/// How much may be held.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of one kept body.
    pub body: usize,
    /// Bytes of all kept bodies together.
    pub bodies: usize,
    /// Requests held at once.
    pub held: usize,
    /// How long one request is held, all its waits together.
    pub hold: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 1 << 20, bodies: 64 << 20, held: 1_000, hold: Duration::from_secs(2) }
    }
}

/// A body that can be sent again, or one that can be sent once.
pub(crate) enum Kept {
    Whole { bytes: Bytes, _room: Option<OwnedSemaphorePermit> },
    Once(Option<Body>),
}

impl Kept {
    /// A body that is passed on as it comes.
    pub(crate) fn once<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::Once(Some(Body::new(body)))
    }

    pub(crate) fn repeatable(&self) -> bool {
        matches!(self, Self::Whole { .. })
    }

    /// The body for the next attempt; only a repeatable one may be asked for twice.
    pub(crate) fn body(&mut self) -> Body {
        match self {
            Self::Whole { bytes, .. } => bytes.clone().into(),
            Self::Once(body) => body.take().unwrap_or_else(|| Bytes::new().into()),
        }
    }
}

/// The memory that kept bodies share, in units of 1 KiB.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    free: Arc<Semaphore>,
    body: usize,
}

impl Room {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self { free: Arc::new(Semaphore::new(limits.bodies / 1024)), body: limits.body }
    }

    /// Reads the body to its end and keeps it; one that is too large, or for which no room is left, is
    /// passed on as it comes.
    pub(crate) async fn keep<B>(&self, body: B) -> Result<Kept, BoxError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        if body.is_end_stream() {
            return Ok(Kept::Whole { bytes: Bytes::new(), _room: None });
        }
        let hint = body.size_hint();
        let most = hint.upper().and_then(|n| usize::try_from(n).ok()).unwrap_or(self.body);
        if hint.lower() > self.body as u64 {
            return Ok(Kept::once(body));
        }
        let Some(room) = self.reserve(most.min(self.body)) else { return Ok(Kept::once(body)) };
        self.collect(body, room).await
    }

    async fn collect<B>(&self, mut body: B, room: OwnedSemaphorePermit) -> Result<Kept, BoxError>
    where
        B: http_body::Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame.map_err(Into::into)?.into_data() {
                read.extend_from_slice(&data);
            }
            if read.len() > self.body {
                return Ok(Kept::once(Resumed::new(read.freeze(), body)));
            }
        }
        let bytes = read.freeze();
        Ok(Kept::Whole { _room: shrunk(room, bytes.len()), bytes })
    }

    fn reserve(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        self.free.clone().try_acquire_many_owned(units(bytes)).ok()
    }
}

/// Gives back what was reserved for a body whose length was not known.
fn shrunk(mut room: OwnedSemaphorePermit, bytes: usize) -> Option<OwnedSemaphorePermit> {
    room.split(units(bytes) as usize)
}

fn units(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX)
}
