//! Finds requests that two parsers could end at different bytes (request smuggling, RFC 9112 section 11.2).
//!
//! The HTTP library repairs some of them: of `Content-Length` beside `Transfer-Encoding` it takes the
//! second and says nothing. Here they are refused, so the bytes are read along before it sees them.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::pace::{Pace, Patience, Sending};

/// Lines longer than this are left to the HTTP library, which refuses them.
const LINE: usize = 64 << 10;

/// Whether an ambiguous request was met on this connection.
#[derive(Debug, Clone, Default)]
pub struct Ambiguity(Arc<AtomicBool>);

impl Ambiguity {
    /// True from the first ambiguous head on.
    pub fn seen(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// A connection whose requests are read along, and that breaks under a sender who takes too long, and under somebody who
/// does not take what is sent.
#[derive(Debug)]
pub struct Watched<S> {
    stream: S,
    framing: Framing,
    ambiguity: Ambiguity,
    pace: Pace,
    taken: Patience,
}

impl<S> Watched<S> {
    pub fn new(stream: S, pace: Pace, taken: Patience) -> (Self, Ambiguity) {
        let (framing, ambiguity) = (Framing::default(), Ambiguity::default());
        (Self { stream, framing, ambiguity: ambiguity.clone(), pace, taken }, ambiguity)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = &mut *self;
        let polled = Pin::new(&mut this.stream).poll_read(context, buffer);
        if polled.is_pending() {
            return this.pace.wait(context).map(Err);
        }
        let came = &buffer.filled()[before..];
        if this.framing.read(came).is_err() {
            this.ambiguity.0.store(true, Ordering::Release);
        }
        this.pace.came(came.len(), this.framing.sending());
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.taken.over(polled, context).map(Result::flatten)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, bytes);
        self.taken.over(polled, context).map(Result::flatten)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// Where a connection is between two requests.
#[derive(Debug, Default)]
struct Framing {
    place: Place,
    line: Vec<u8>,
    head: Head,
}

#[derive(Debug, Default, Clone, Copy)]
enum Place {
    #[default]
    Head,
    /// This many bytes of body follow.
    Body(u64),
    ChunkSize,
    /// This many bytes of chunk and line end follow.
    Chunk(u64),
    Trailers,
    /// Nothing that follows is looked at.
    Lost,
}

#[derive(Debug, Default)]
struct Head {
    begun: bool,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
}

#[derive(Debug)]
struct Ambiguous;

impl Framing {
    /// Reads along; after an error nothing more is looked at, and none is reported again.
    fn read(&mut self, mut bytes: &[u8]) -> Result<(), Ambiguous> {
        while !bytes.is_empty() {
            match self.place {
                Place::Lost => return Ok(()),
                Place::Body(left) => {
                    self.place = skip(&mut bytes, left).map_or(Place::Head, Place::Body);
                }
                Place::Chunk(left) => {
                    self.place = skip(&mut bytes, left).map_or(Place::ChunkSize, Place::Chunk);
                }
                Place::Head | Place::ChunkSize | Place::Trailers => {
                    self.part_of_line(&mut bytes)?;
                }
            }
        }
        Ok(())
    }

    fn sending(&self) -> Sending {
        match self.place {
            Place::Head if !self.head.begun && self.line.is_empty() => Sending::Nothing,
            Place::Head | Place::Lost => Sending::Head,
            Place::Body(_) | Place::ChunkSize | Place::Chunk(_) | Place::Trailers => Sending::Body,
        }
    }

    fn part_of_line(&mut self, bytes: &mut &[u8]) -> Result<(), Ambiguous> {
        let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
        let (now, later) = bytes.split_at(end.unwrap_or(bytes.len()));
        *bytes = later;
        self.line.extend_from_slice(now);
        if end.is_some() {
            let line = std::mem::take(&mut self.line);
            let place =
                line.strip_suffix(b"\r\n").ok_or(Ambiguous).and_then(|line| self.line(line));
            self.place = *place.as_ref().unwrap_or(&Place::Lost);
            place?;
        } else if self.line.len() > LINE {
            self.place = Place::Lost;
        }
        Ok(())
    }

    /// What follows after this line.
    fn line(&mut self, line: &[u8]) -> Result<Place, Ambiguous> {
        if line.contains(&b'\r') {
            return Err(Ambiguous);
        }
        match self.place {
            Place::ChunkSize => match chunk_size(line)? {
                0 => Ok(Place::Trailers),
                size => Ok(Place::Chunk(size.checked_add(2).ok_or(Ambiguous)?)),
            },
            Place::Trailers if line.is_empty() => Ok(Place::Head),
            Place::Trailers => Ok(Place::Trailers),
            _ if !line.is_empty() => self.head.line(line).map(|()| Place::Head),
            // Empty lines before a request are skipped (RFC 9112, section 2.2).
            _ if !self.head.begun => Ok(Place::Head),
            _ => std::mem::take(&mut self.head).end(),
        }
    }
}

impl Head {
    fn line(&mut self, line: &[u8]) -> Result<(), Ambiguous> {
        if !std::mem::replace(&mut self.begun, true) {
            return Ok(());
        }
        let colon = line.iter().position(|byte| *byte == b':').ok_or(Ambiguous)?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        // A folded line begins with a space; a space before the colon is some parsers' end of the name.
        if name.iter().any(u8::is_ascii_whitespace) {
            return Err(Ambiguous);
        }
        if name.eq_ignore_ascii_case(b"host") {
            self.hosts += 1;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = decimal(value).ok_or(Ambiguous)?;
            return self.length.replace(length).map_or(Ok(()), |_| Err(Ambiguous));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            let again = std::mem::replace(&mut self.chunked, true);
            return (!again && value.eq_ignore_ascii_case(b"chunked"))
                .then_some(())
                .ok_or(Ambiguous);
        }
        Ok(())
    }

    fn end(self) -> Result<Place, Ambiguous> {
        match self {
            Self { hosts: 2.., .. } | Self { chunked: true, length: Some(_), .. } => Err(Ambiguous),
            Self { chunked: true, .. } => Ok(Place::ChunkSize),
            Self { length: Some(length @ 1..), .. } => Ok(Place::Body(length)),
            _ => Ok(Place::Head),
        }
    }
}

/// Skips up to `left` bytes; what is left then, if anything.
fn skip(bytes: &mut &[u8], left: u64) -> Option<u64> {
    let now = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
    *bytes = &bytes[now..];
    Some(left - now as u64).filter(|left| *left > 0)
}

fn decimal(text: &[u8]) -> Option<u64> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    digits.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten()
}

/// Hexadecimal digits, and perhaps an extension behind a semicolon.
fn chunk_size(line: &[u8]) -> Result<u64, Ambiguous> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Ambiguous);
    }
    let digits = std::str::from_utf8(digits).map_err(|_| Ambiguous)?;
    u64::from_str_radix(digits, 16).map_err(|_| Ambiguous)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ambiguous(request: &str) -> bool {
        let request = request.replace('\n', "\r\n").replace("<LF>", "\n").replace("<CR>", "\r");
        // Byte by byte, so that no rule depends on how the bytes arrive.
        let mut framing = Framing::default();
        request.bytes().any(|byte| framing.read(&[byte]).is_err())
    }

    #[test]
    fn honest_requests_pass_one_after_another() {
        let requests = "GET / HTTP/1.1\nHost: a\n\n\
                        POST / HTTP/1.1\nHost: a\nContent-Length: 5\n\n\nabcPOST / HTTP/1.1\nHost: a\n\
                        Transfer-Encoding: chunked\n\n5;x=y\n\nabc\n0\nTrailer: x\n\nGET / HTTP/1.1\nHost: a\n\n";
        assert!(!ambiguous(requests));
        assert!(ambiguous(&format!("{requests}GET / HTTP/1.1\nHost: a\nHost: b\n\n")));
    }

    #[test]
    fn requests_with_two_possible_ends_are_found() {
        for request in [
            "POST / HTTP/1.1\nHost: a\nContent-Length: 5\nTransfer-Encoding: chunked\n\n",
            "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nContent-Length: 5\n\n",
            "POST / HTTP/1.1\nHost: a\nContent-Length: 5\nContent-Length: 6\n\n",
            "POST / HTTP/1.1\nHost: a\nContent-Length: 5\nContent-Length: 5\n\n",
            "POST / HTTP/1.1\nHost: a\nContent-Length: 5, 5\n\n",
            "POST / HTTP/1.1\nHost: a\nContent-Length: +5\n\n",
            "POST / HTTP/1.1\nHost: a\nContent-Length: 0x5\n\n",
            "POST / HTTP/1.1\nHost: a\nContent-Length:\n\n",
            "POST / HTTP/1.1\nHost: a\nContent-Length: 99999999999999999999\n\n",
            "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: xchunked\n\n",
            "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: gzip, chunked\n\n",
            "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\nTransfer-Encoding: identity\n\n",
            "POST / HTTP/1.1\nHost: a\nTransfer-Encoding : chunked\n\n",
            "POST / HTTP/1.1\nHost: a\n Transfer-Encoding: chunked\n\n",
            "POST / HTTP/1.1\nHost: a\nX: y\n\tTransfer-Encoding: chunked\n\n",
            "POST / HTTP/1.1\nHost: a\nX: y<LF>Transfer-Encoding: chunked\n\n",
            "POST / HTTP/1.1<LF>Host: a\n\n",
            "POST / HTTP/1.1\nHost: a\nX: y<CR>Transfer-Encoding: chunked\n\n",
            "POST / HTTP/1.1\nHost: a\nno colon\n\n",
            "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n0x5\n",
            "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n5<LF>",
            "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n-1\n",
            "POST / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\nfffffffffffffffff\n",
        ] {
            assert!(ambiguous(request), "{request}");
        }
    }
}
