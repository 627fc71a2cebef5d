//! What a refusal leaves unread of a request.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::runtime::Handle;

/// More than this is not waited for; the connection is closed then.
const BYTES: usize = 16 << 20;
const TIME: Duration = Duration::from_secs(10);

/// A request's body whose rest is read and thrown away where nobody wants it. A server that closes a connection before
/// it has read everything destroys its own answer on the way to who still sends (RFC 9112, section 9.6).
#[derive(Debug)]
pub struct Drained<B>(Option<B>)
where
    B: Body + Send + Unpin + 'static;

impl<B: Body + Send + Unpin + 'static> Drained<B> {
    pub fn new(body: B) -> Self {
        Self(Some(body))
    }
}

impl<B: Body + Send + Unpin + 'static> Body for Drained<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match &mut self.0 {
            Some(body) => Pin::new(body).poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl<B: Body + Send + Unpin + 'static> Drop for Drained<B> {
    fn drop(&mut self) {
        let unread = self.0.take().filter(|body| !body.is_end_stream());
        if let (Some(body), Ok(runtime)) = (unread, Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(TIME, drain(body)));
        }
    }
}

async fn drain<B: Body + Unpin>(mut body: B) {
    let mut read = 0;
    while read < BYTES {
        let Some(Ok(frame)) = body.frame().await else { return };
        read += frame.data_ref().map_or(0, bytes::Buf::remaining);
    }
}
