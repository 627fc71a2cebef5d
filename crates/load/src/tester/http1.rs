//! HTTP/1.1 as a tester needs it (RFC 9112): one request at a time on a connection, written in one piece, its answer
//! read whole. A general client would take most of the processor for what is not needed here: queues and tasks
//! between the request and the socket, and a map of headers that nobody reads.

use std::{future::poll_fn, io, pin::Pin, task::Poll};

use bytes::{Bytes, BytesMut};
use http::{Method, StatusCode};
use httparse::{EMPTY_HEADER, Status};
use tokio::io::{AsyncRead as _, AsyncReadExt as _, AsyncWriteExt as _, ReadBuf};

use super::{call::Answer, dial::Stream, spoken::Spoken};

/// Of an answer's head, and of what follows the last chunk.
const MAX_HEAD: usize = 64 * 1024;
const MAX_HEADERS: usize = 100;
/// Room for what is read next: few answers are larger, and there may be thousands of connections.
const ROOM: usize = 4 * 1024;
const MOST_ROOM: usize = 1024 * 1024;

/// A connection that is used by one request at a time.
pub(super) struct Http1 {
    stream: Stream,
    read: BytesMut,
    /// The other side keeps the connection after the last answer.
    kept: bool,
}

/// Why no whole answer came.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// Nothing of the request has left, so another connection may send it.
    #[error("the connection was closed before anything was sent")]
    Unsent,
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("the connection was closed before an answer came")]
    NoAnswer,
    #[error("the connection was closed in the midst of an answer")]
    CutOff,
    #[error("the answer is not HTTP/1.1: {0}")]
    Malformed(&'static str),
}

/// How the end of a body is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(u64),
    Chunked,
    /// The connection is closed.
    Closed,
}

/// What an answer's head says.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    status: StatusCode,
    framing: Framing,
    keeps: bool,
    /// How many bytes it has.
    length: usize,
}

impl Http1 {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, read: BytesMut::with_capacity(ROOM), kept: true }
    }

    /// Whether another request may be sent. What has come meanwhile was closed, or never understood.
    pub(super) async fn is_usable(&mut self) -> bool {
        if !self.kept || !self.read.is_empty() {
            return false;
        }
        let look = poll_fn(|context| {
            let mut byte = [0];
            let read = Pin::new(&mut self.stream).poll_read(context, &mut ReadBuf::new(&mut byte));
            Poll::Ready(read.is_pending())
        });
        // A task that has done much already would be told that there is nothing, whatever there is.
        tokio::task::unconstrained(look).await
    }

    /// Sends a request, whole and encoded, and waits for the whole answer. After an error, or if this is dropped
    /// meanwhile, the connection is of no use.
    pub(super) async fn exchange(
        &mut self,
        method: &Method,
        request: &[u8],
    ) -> Result<Answer, Error> {
        self.kept = false;
        self.write(request).await?;
        let head = loop {
            let head = self.head(method).await?;
            // What precedes the answer (RFC 9110, 15.2).
            if !head.status.is_informational() {
                break head;
            }
        };
        let body = match head.framing {
            Framing::Length(length) => self.sized(length).await?,
            Framing::Chunked => self.chunked().await?,
            Framing::Closed => self.rest().await?,
        };
        self.kept = head.keeps;
        Ok(Answer { status: head.status, body, ended: None })
    }

    async fn write(&mut self, request: &[u8]) -> Result<(), Error> {
        let mut left = request;
        while !left.is_empty() {
            match self.stream.write(left).await {
                Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero).into()),
                Ok(written) => left = &left[written..],
                Err(_) if left.len() == request.len() => return Err(Error::Unsent),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.stream.flush().await?)
    }

    /// Reads what there is, of which so much is expected; false at the end.
    async fn more(&mut self, expected: usize) -> io::Result<bool> {
        self.read.reserve(expected.clamp(ROOM, MOST_ROOM));
        Ok(self.stream.read_buf(&mut self.read).await? > 0)
    }

    async fn head(&mut self, method: &Method) -> Result<Head, Error> {
        loop {
            if let Some(head) = head(&self.read, method)? {
                let _ = self.read.split_to(head.length);
                return Ok(head);
            }
            if !self.more(ROOM).await? {
                return Err(if self.read.is_empty() { Error::NoAnswer } else { Error::CutOff });
            }
        }
    }

    async fn sized(&mut self, length: u64) -> Result<Bytes, Error> {
        let length = usize::try_from(length).map_err(|_| Error::Malformed("its length"))?;
        while self.read.len() < length {
            if !self.more(length - self.read.len()).await? {
                return Err(Error::CutOff);
            }
        }
        Ok(self.read.split_to(length).freeze())
    }

    async fn rest(&mut self) -> Result<Bytes, Error> {
        while self.more(self.read.len()).await? {}
        Ok(self.read.split().freeze())
    }

    async fn chunked(&mut self) -> Result<Bytes, Error> {
        let mut body = BytesMut::new();
        loop {
            match chunk(&mut self.read)? {
                Some(data) if data.is_empty() => break,
                Some(data) => body.unsplit(data),
                None if self.more(ROOM).await? => {}
                None => return Err(Error::CutOff),
            }
        }
        loop {
            if let Some(length) = trailers(&self.read)? {
                let _ = self.read.split_to(length);
                return Ok(body.freeze());
            }
            if !self.more(ROOM).await? {
                return Err(Error::CutOff);
            }
        }
    }
}

/// The head that the bytes begin with; nothing while it is not whole.
fn head(read: &[u8], method: &Method) -> Result<Option<Head>, Error> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    let mut answer = httparse::Response::new(&mut headers);
    let length = match answer.parse(read) {
        Ok(Status::Complete(length)) => length,
        Ok(Status::Partial) if read.len() > MAX_HEAD => {
            return Err(Error::Malformed("its head is too long"));
        }
        Ok(Status::Partial) => return Ok(None),
        Err(_) => {
            let other = Spoken::of(read).and_then(Spoken::instead_of_http1);
            return Err(Error::Malformed(other.unwrap_or("its head")));
        }
    };
    let status = answer.code.and_then(|code| StatusCode::from_u16(code).ok());
    let status = status.ok_or(Error::Malformed("its status"))?;
    let mut keeps = answer.version == Some(1);
    let mut framing = Framing::Closed;
    for header in answer.headers.iter() {
        let name = header.name;
        if name.eq_ignore_ascii_case("content-length") && framing != Framing::Chunked {
            let length =
                std::str::from_utf8(header.value).ok().and_then(|text| text.trim().parse().ok());
            let length = length.map(Framing::Length).ok_or(Error::Malformed("its length"))?;
            if ![Framing::Closed, length].contains(&framing) {
                return Err(Error::Malformed("it has two lengths"));
            }
            framing = length;
        } else if name.eq_ignore_ascii_case("transfer-encoding") && has(header.value, "chunked") {
            framing = Framing::Chunked;
        } else if name.eq_ignore_ascii_case("connection") {
            keeps =
                if keeps { !has(header.value, "close") } else { has(header.value, "keep-alive") };
        }
    }
    // RFC 9112, 6.3.
    if *method == Method::HEAD || status.is_informational() || [204, 304].contains(&status.as_u16())
    {
        framing = Framing::Length(0);
    }
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Error::Malformed("it leaves HTTP"));
    }
    keeps &= framing != Framing::Closed;
    Ok(Some(Head { status, framing, keeps, length }))
}

/// How long what follows the last chunk is, which ends with an empty line; nothing while it is not whole.
fn trailers(read: &[u8]) -> Result<Option<usize>, Error> {
    let mut headers = [EMPTY_HEADER; MAX_HEADERS];
    match httparse::parse_headers(read, &mut headers) {
        Ok(Status::Complete((length, _))) => Ok(Some(length)),
        Ok(Status::Partial) if read.len() > MAX_HEAD => {
            Err(Error::Malformed("its trailers are too long"))
        }
        Ok(Status::Partial) => Ok(None),
        Err(_) => Err(Error::Malformed("its trailers")),
    }
}

/// Takes the next chunk's data out; empty for the last one, nothing while it is not whole.
fn chunk(read: &mut BytesMut) -> Result<Option<BytesMut>, Error> {
    let (start, size) = match httparse::parse_chunk_size(read) {
        Ok(Status::Complete(parsed)) => parsed,
        Ok(Status::Partial) => return Ok(None),
        Err(_) => return Err(Error::Malformed("a chunk's size")),
    };
    if size == 0 {
        let _ = read.split_to(start);
        return Ok(Some(BytesMut::new()));
    }
    let size = usize::try_from(size).ok().filter(|size| *size < usize::MAX / 2);
    let end = start + size.ok_or(Error::Malformed("a chunk's size"))?;
    if read.len() < end + 2 {
        return Ok(None);
    }
    let mut data = read.split_to(end + 2);
    if data.split_off(end) != b"\r\n"[..] {
        return Err(Error::Malformed("a chunk's end"));
    }
    Ok(Some(data.split_off(start)))
}

/// Whether a list has this member, in whatever case.
fn has(list: &[u8], member: &str) -> bool {
    list.split(|byte| *byte == b',')
        .any(|one| one.trim_ascii().eq_ignore_ascii_case(member.as_bytes()))
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpStream};
    use tokio_util::either::Either;

    use super::*;

    /// What comes of an answer that arrives in these pieces, after which the connection is closed.
    async fn asked(
        method: Method,
        pieces: &'static [&'static str],
    ) -> (Result<Answer, Error>, bool) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let answering = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 4];
            stream.read_exact(&mut request).await.expect("a request");
            assert_eq!(&request, b"ask!");
            for piece in pieces {
                stream.write_all(piece.as_bytes()).await.expect("sent");
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
            stream
        });
        let stream = TcpStream::connect(address).await.expect("connected");
        let mut line = Http1::new(Either::Left(stream));
        let exchange = async {
            let answer = line.exchange(&method, b"ask!").await;
            (answer, line.is_usable().await)
        };
        let closed = async {
            drop(answering.await);
            std::future::pending::<()>().await;
        };
        tokio::select! {
            outcome = exchange => outcome,
            () = closed => unreachable!(),
        }
    }

    async fn body(pieces: &'static [&'static str]) -> (String, bool) {
        let (answer, usable) = asked(Method::GET, pieces).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status, StatusCode::OK);
        (String::from_utf8(answer.body.to_vec()).expect("text"), usable)
    }

    #[tokio::test]
    async fn an_answer_ends_where_its_head_says() {
        let whole = body(&["HTTP/1.1 200 OK\r\ncontent-le", "ngth: 5\r\n\r\nhel", "lo"]).await;
        assert_eq!(whole, ("hello".to_owned(), true));
        let interim =
            body(&["HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]);
        assert_eq!(interim.await, (String::new(), true));
        let closed = body(&["HTTP/1.1 200 OK\r\n\r\nhel", "lo"]).await;
        assert_eq!(closed, ("hello".to_owned(), false));
        let last =
            body(&["HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"]).await;
        assert_eq!(last, ("ok".to_owned(), false));
        let old = body(&["HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok"]).await;
        assert_eq!(old, ("ok".to_owned(), false));
        let unasked = body(&["HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok, and more"]).await;
        assert_eq!(unasked, ("ok".to_owned(), false));
    }

    #[tokio::test]
    async fn chunks_are_put_together_however_they_come() {
        let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n";
        for rest in [
            &["5;x=y\r\nhello\r\n1\r\n!\r\n0\r\n\r\n"][..],
            &["5\r\nhel", "lo\r", "\n1\r\n!\r\n0\r\nAge: 1\r\n", "\r\n"],
        ] {
            let pieces: Vec<&'static str> =
                [head].into_iter().chain(rest.iter().copied()).collect();
            assert_eq!(body(pieces.leak()).await, ("hello!".to_owned(), true));
        }
    }

    #[tokio::test]
    async fn an_answer_without_a_body_is_told_by_what_was_asked() {
        let (answer, usable) =
            asked(Method::HEAD, &["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"]).await;
        assert_eq!((answer.expect("an answer").body.len(), usable), (0, true));
        let (answer, usable) = asked(Method::GET, &["HTTP/1.1 304 Not Modified\r\n\r\n"]).await;
        assert_eq!((answer.expect("an answer").status.as_u16(), usable), (304, true));
    }

    #[tokio::test]
    async fn another_protocol_is_told_with_what_to_say() {
        for (first, wanted) in [
            (&["\0\0\x12\x04\0\0\0\0\0"][..], "say grpc://"),
            (&["\x15\x03\x03\0\x02\x02\x46"], "say https://"),
        ] {
            let error = asked(Method::GET, first).await.0.expect_err("an error").to_string();
            assert!(error.contains(wanted), "{error}");
        }
    }

    #[tokio::test]
    async fn what_is_no_whole_answer_is_told_apart() {
        let failed = async |pieces| asked(Method::GET, pieces).await.0.expect_err("an error");
        assert!(matches!(failed(&[]).await, Error::NoAnswer));
        assert!(matches!(failed(&["HTTP/1.1 200"]).await, Error::CutOff));
        assert!(matches!(
            failed(&["HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab"]).await,
            Error::CutOff
        ));
        for wrong in [
            &["SSH-2.0-OpenSSH\r\n"][..],
            &["HTTP/1.1 200 OK\r\nContent-Length: two\r\n\r\n"],
            &["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"],
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"],
            &["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nabc\r\n"],
            &["HTTP/1.1 101 Switching Protocols\r\n\r\n"],
        ] {
            assert!(matches!(failed(wrong).await, Error::Malformed(_)), "{wrong:?}");
        }
    }
}
