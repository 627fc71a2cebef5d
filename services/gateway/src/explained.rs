//! Says why where the HTTP library refuses a request by itself: a head that it cannot read, or that is too large, it answers
//! with a status alone, before any of the layers has seen a request.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use crate::error;

/// What follows a refused head is read and thrown away for so long: a server that closes a connection before it has read
/// everything destroys its own answer on the way to who still sends (RFC 9112, section 9.6).
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES: usize = 16 << 20;
/// How the library's own refusals say that nothing follows.
const NOTHING: &str = "content-length: 0\r\n";

/// How many answers of a connection were begun, and how many of these are whole.
#[derive(Debug, Clone, Default)]
pub struct Answers(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    whole: AtomicU64,
}

impl Answers {
    /// Notes that a request was read, whose answer is whole when what is returned, or the body that it goes into, is dropped.
    pub fn begin(&self) -> UnderWay {
        self.0.begun.fetch_add(1, Ordering::AcqRel);
        UnderWay(self.clone())
    }

    /// How many there were; `None` while one is under way.
    fn all(&self) -> Option<u64> {
        let begun = self.0.begun.load(Ordering::Acquire);
        (self.0.whole.load(Ordering::Acquire) == begun).then_some(begun)
    }
}

/// An answer that is not whole yet.
#[derive(Debug)]
pub struct UnderWay(Answers);

impl UnderWay {
    /// With the body to whose end it lasts.
    pub fn with<B>(self, body: B) -> Answering<B> {
        Answering { body, _under_way: self }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.whole.fetch_add(1, Ordering::AcqRel);
    }
}

/// The body of an answer.
#[derive(Debug)]
pub struct Answering<B> {
    body: B,
    _under_way: UnderWay,
}

impl<B: Body + Unpin> Body for Answering<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A connection on which the library's own refusals have a problem document. What is written when every answer that was
/// begun has been flushed whole is none of those: it is a refusal, and the last that is written.
#[derive(Debug)]
pub struct Explained<S> {
    stream: S,
    answers: Answers,
    /// So many answers have been flushed.
    flushed: u64,
    refusal: Option<Refusal>,
}

#[derive(Debug)]
struct Refusal {
    unwritten: Bytes,
    linger: Option<Linger>,
}

#[derive(Debug)]
struct Linger {
    end: Pin<Box<Sleep>>,
    left: usize,
}

impl<S> Explained<S> {
    pub fn new(stream: S) -> (Self, Answers) {
        let answers = Answers::default();
        (Self { stream, answers: answers.clone(), flushed: 0, refusal: None }, answers)
    }

    /// Keeps what is a refusal of the library's, with its reason; whether it was one.
    fn refuses(&mut self, written: &[IoSlice<'_>]) -> bool {
        if self.refusal.is_none() && self.answers.all() == Some(self.flushed) {
            let written: Vec<u8> = written.iter().flat_map(|part| part.iter().copied()).collect();
            self.refusal = Some(Refusal { unwritten: explained(written), linger: None });
            return true;
        }
        self.refusal.is_some()
    }
}

/// The library's refusal with a problem document, or as it is where it is not what is known of them.
fn explained(refusal: Vec<u8>) -> Bytes {
    let document = || {
        let head = str::from_utf8(&refusal).ok()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let (before, after) = head.split_once(NOTHING)?;
        let body = error::unreadable(status);
        let length = body.len();
        let kind = "content-type: application/problem+json";
        let told = format!("{before}{kind}\r\ncontent-length: {length}\r\n{after}");
        Some([told.as_bytes(), &body].concat())
    };
    document().unwrap_or(refusal).into()
}

impl Refusal {
    /// Writes it, and reads what is still sent until nothing more comes, or for as long as that is waited for.
    fn poll_told<S: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        stream: &mut S,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut stream = Pin::new(stream);
        while !self.unwritten.is_empty() {
            let written = ready!(stream.as_mut().poll_write(context, &self.unwritten))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unwritten.advance(written);
        }
        if self.linger.is_none() {
            ready!(stream.as_mut().poll_shutdown(context))?;
        }
        let linger = self
            .linger
            .get_or_insert_with(|| Linger { end: Box::pin(sleep(LINGER)), left: LINGER_BYTES });
        let mut thrown_away = [0; 8 << 10];
        while linger.left > 0 && linger.end.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut thrown_away);
            let read = ready!(stream.as_mut().poll_read(context, &mut buffer));
            match buffer.filled().len() {
                came @ 1.. if read.is_ok() => linger.left = linger.left.saturating_sub(came),
                _ => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Explained<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Explained<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.refuses(&[IoSlice::new(bytes)]) {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.refuses(bytes) {
            return Poll::Ready(Ok(bytes.iter().map(|part| part.len()).sum()));
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    /// The library flushes when it has written all that it has.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(refusal) = &mut this.refusal {
            return refusal.poll_told(&mut this.stream, context);
        }
        this.flushed = this.answers.all().unwrap_or(this.flushed);
        Pin::new(&mut this.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_its_reason() {
        let refusal = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n\
                       content-length: 0\r\ndate: now\r\n\r\n";
        let told = explained(refusal.into());
        let told = str::from_utf8(&told).expect("text");
        let (head, body) = told.split_once("\r\n\r\n").expect("head and body");
        assert!(head.starts_with("HTTP/1.1 431 Request Header Fields Too Large\r\n"), "{head}");
        assert!(head.ends_with("\r\ndate: now"), "{head}");
        assert!(head.contains(&format!("\r\ncontent-length: {}\r\n", body.len())), "{head}");
        let problem: serde_json::Value = serde_json::from_str(body).expect("JSON");
        assert_eq!((&problem["status"], &problem["code"]), (&431.into(), &"head_too_large".into()));
    }

    #[test]
    fn what_is_not_known_is_left_as_it_is() {
        for other in ["", "HTTP/1.1 431 Request Header Fields Too Large\r\n\r\n", "\r\n"] {
            assert_eq!(explained(other.into()), other);
        }
    }

    #[test]
    fn an_answer_lasts_to_the_end_of_its_body() {
        let (_, answers) = Explained::new(());
        assert_eq!(answers.all(), Some(0));
        let body = answers.begin().with(());
        assert_eq!(answers.all(), None);
        drop(body);
        assert_eq!(answers.all(), Some(1));
    }
}
