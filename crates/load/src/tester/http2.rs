//! HTTP/2 as a tester of gRPC needs it (RFC 9113): many requests at a time on a connection, what is due together written
//! together, answers read whole.
//!
//! ```text
//! exchange ─► State::open ─► output ─► driver (one task a connection) ─► socket
//!     ▲                                   │
//!     └────────── outcome ◄── State::take ◄┘
//! ```
//!
//! [`State`] knows nothing of sockets. All of it stays on one thread.

mod state;

use std::{
    cell::RefCell,
    future::poll_fn,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::{Buf as _, BytesMut};
use http::{HeaderName, HeaderValue};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
};
use tokio_util::io::poll_read_buf;

use super::{
    call::{Answer, Call},
    frame::MAX_FRAME,
};
use state::{Phase, State};

/// A connection; requests take turns on it as they come.
pub(super) struct Http2(Rc<Shared>);

struct Shared {
    state: RefCell<State>,
    /// There is room for one more stream, or the connection is open, or it is over.
    changed: Notify,
}

/// Why no whole answer came.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum Error {
    /// The server has seen to it that nothing came of the request, so it may be sent again.
    #[error("the server did not take the request")]
    Unsent,
    #[error("{0}")]
    Io(Rc<io::Error>),
    #[error("the connection was closed before an answer came")]
    NoAnswer,
    #[error("the connection was closed in the midst of an answer")]
    CutOff,
    #[error("the server ended the call (error {0} of RFC 9113, 7)")]
    Reset(u32),
    #[error("the answer is not HTTP/2: {0}")]
    Malformed(&'static str),
}

impl Http2 {
    /// Begins a connection; ready when the other side has shown that it speaks HTTP/2. Within a local set.
    pub(super) async fn open<S>(stream: S) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + 'static,
    {
        let shared = Shared { state: RefCell::new(State::new()), changed: Notify::new() };
        let connection = Self(Rc::new(shared));
        let driven = connection.0.clone();
        tokio::task::spawn_local(async move { driven.drive(stream).await });
        loop {
            let changed = connection.0.changed.notified();
            match &*connection.0.state.borrow() {
                State { over: Some(error), .. } => return Err(error.clone()),
                state if state.phase > Phase::Greeting => break,
                _ => {}
            }
            changed.await;
        }
        Ok(connection)
    }

    /// Whether another request may be sent.
    pub(super) fn is_usable(&self) -> bool {
        self.0.state.borrow().is_usable()
    }

    /// Sends a request and waits for the whole answer. Dropped meanwhile, it tells the server.
    pub(super) async fn exchange(
        &self,
        call: &Call,
        number: u64,
        more: Option<&(HeaderName, HeaderValue)>,
    ) -> Result<Answer, Error> {
        let id = loop {
            let changed = self.0.changed.notified();
            match self.0.state.borrow_mut().try_open(call, number, more) {
                Poll::Ready(opened) => break opened?,
                Poll::Pending => {}
            }
            changed.await;
        };
        Exchange { shared: &self.0, id, ended: false }.await
    }
}

/// Its driver ends with it, also if it never came to be open.
impl Drop for Http2 {
    fn drop(&mut self) {
        let mut state = self.0.state.borrow_mut();
        state.phase = Phase::Dropped;
        state.wake_driver();
    }
}

struct Exchange<'a> {
    shared: &'a Shared,
    id: u32,
    ended: bool,
}

impl Future for Exchange<'_> {
    type Output = Result<Answer, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.shared.state.borrow_mut();
        let outcome = state.outcome(self.id, context.waker());
        drop(state);
        self.ended = outcome.is_ready();
        outcome
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.state.borrow_mut().cancel(self.id);
            self.shared.changed.notify_one();
        }
    }
}

impl Shared {
    /// Writes and reads until the connection is over, or is not needed any more.
    async fn drive(self: Rc<Self>, mut stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut read = BytesMut::new();
        let why = poll_fn(|context| self.poll(&mut stream, &mut read, context)).await;
        self.state.borrow_mut().end(why);
        self.changed.notify_waiters();
    }

    fn poll(
        &self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
        read: &mut BytesMut,
        context: &mut Context<'_>,
    ) -> Poll<Error> {
        loop {
            let mut state = self.state.borrow_mut();
            if state.is_left() {
                return Poll::Ready(Error::Unsent);
            }
            // What has come already is read all the same.
            let failed = match write(&mut state, stream, context) {
                Poll::Ready(Err(error)) => Some(error),
                Poll::Ready(Ok(())) | Poll::Pending => None,
            };
            read.reserve(MAX_FRAME);
            match poll_read_buf(Pin::new(&mut *stream), context, read) {
                Poll::Pending => {
                    if let Some(error) = failed {
                        return Poll::Ready(Error::Io(Rc::new(error)));
                    }
                    state.driver = Some(context.waker().clone());
                    return Poll::Pending;
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Error::NoAnswer),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Error::Io(Rc::new(error))),
            }
            let (before, was, most) = (state.active, state.phase, state.max_streams);
            if let Err(wrong) = state.take(read) {
                return Poll::Ready(Error::Malformed(wrong));
            }
            let active = state.active;
            let all = state.phase != was || !state.is_usable() || state.max_streams > most;
            drop(state);
            if all {
                self.changed.notify_waiters();
            }
            for _ in active..before {
                self.changed.notify_one();
            }
        }
    }
}

/// What was tried when it fails may have left.
fn write(
    state: &mut State,
    stream: &mut (impl AsyncWrite + Unpin),
    context: &mut Context<'_>,
) -> Poll<io::Result<()>> {
    while !state.output.is_empty() {
        let written = Pin::new(&mut *stream).poll_write(context, &state.output);
        let written = match std::task::ready!(written) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            other => other,
        };
        let gone = *written.as_ref().unwrap_or(&state.output.len());
        state.output.advance(gone);
        state.written += gone;
        written?;
    }
    Pin::new(stream).poll_flush(context)
}

#[cfg(test)]
mod tests;
