//! Connections of one worker. Nothing here leaves its thread.

use std::{
    cell::{Cell, RefCell},
    error::Error,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, sync::Mutex, time::timeout};

use super::{
    call::{Answer, Call},
    http1::{self, Http1},
    target::Protocol,
};
use crate::client::describe;

type Body = Full<Bytes>;

/// Most requests are smaller.
const ROOM: usize = 512;

/// Why no whole answer came.
#[derive(Debug)]
pub(super) struct Broken {
    /// What reports sum up under.
    pub kind: &'static str,
    pub text: String,
}

impl Broken {
    fn new(kind: &'static str, error: &dyn Error) -> Self {
        Self { kind, text: describe(error) }
    }
}

/// Connections to one address.
pub(super) struct Lines {
    address: String,
    kind: Kind,
}

enum Kind {
    /// One request each; those at rest are kept, the one used last first.
    Http1(RefCell<Vec<Http1>>),
    /// Many requests each, which take turns.
    Http2 { lines: Vec<Mutex<Option<http2::SendRequest<Body>>>>, turn: Cell<usize> },
}

impl Lines {
    pub fn new(address: String, protocol: Protocol, connections: u32) -> Self {
        let kind = match protocol {
            Protocol::Http => Kind::Http1(RefCell::default()),
            Protocol::Grpc => Kind::Http2 {
                lines: (0..connections.max(1)).map(|_| Mutex::default()).collect(),
                turn: Cell::new(0),
            },
        };
        Self { address, kind }
    }

    /// Sends a request, as [`Call::message`] has it, and waits for the whole answer, `patience` long.
    pub async fn send(
        &self,
        call: &Call,
        number: u64,
        more: Option<(HeaderName, HeaderValue)>,
        patience: Duration,
    ) -> Result<Answer, Broken> {
        let exchange = async {
            match &self.kind {
                Kind::Http1(resting) => {
                    let mut request = Vec::with_capacity(ROOM);
                    call.encode(number, more.as_ref(), &mut request);
                    self.by_http1(resting, call, &request).await
                }
                Kind::Http2 { lines, turn } => {
                    let line = &lines[turn.replace(turn.get().wrapping_add(1)) % lines.len()];
                    self.by_http2(line, call.message(number, more)).await
                }
            }
        };
        timeout(patience, exchange).await.unwrap_or_else(|_| {
            Err(Broken { kind: "timeout", text: format!("no whole answer within {patience:?}") })
        })
    }

    /// A connection that the other side has closed while it rested, before anything of the request was sent, is no
    /// failure of the request: it goes out by another one.
    async fn by_http1(
        &self,
        resting: &RefCell<Vec<Http1>>,
        call: &Call,
        request: &[u8],
    ) -> Result<Answer, Broken> {
        loop {
            let rested = resting.borrow_mut().pop();
            let (mut line, is_new) = match rested {
                Some(line) => (line, false),
                None => (Http1::new(self.connect().await?), true),
            };
            if !is_new && !line.is_usable() {
                continue;
            }
            match line.exchange(&call.method, request).await {
                Ok(answer) => {
                    resting.borrow_mut().push(line);
                    return Ok(answer);
                }
                Err(http1::Error::Unsent) if !is_new => {}
                Err(error @ http1::Error::CutOff) => return Err(Broken::new("cut off", &error)),
                Err(error) => return Err(Broken::new("broken", &error)),
            }
        }
    }

    async fn by_http2(
        &self,
        line: &Mutex<Option<http2::SendRequest<Body>>>,
        request: Request<Body>,
    ) -> Result<Answer, Broken> {
        let mut open = line.lock().await;
        let mut sender = match &*open {
            Some(sender) if !sender.is_closed() => sender.clone(),
            _ => open.insert(self.connect_http2().await?).clone(),
        };
        drop(open);
        sender.ready().await.map_err(|error| Broken::new("broken", &error))?;
        let answer = sender.send_request(request).await;
        whole(answer.map_err(|error| Broken::new("broken", &error))?).await
    }

    async fn connect_http2(&self) -> Result<http2::SendRequest<Body>, Broken> {
        let io = TokioIo::new(self.connect().await?);
        let (sender, connection) =
            http2::handshake(Here, io).await.map_err(|error| Broken::new("connect", &error))?;
        tokio::task::spawn_local(connection);
        Ok(sender)
    }

    async fn connect(&self) -> Result<TcpStream, Broken> {
        let stream = TcpStream::connect(&self.address).await;
        let stream = stream.map_err(|error| Broken::new("connect", &error))?;
        stream.set_nodelay(true).map_err(|error| Broken::new("connect", &error))?;
        Ok(stream)
    }
}

async fn whole(answer: http::Response<hyper::body::Incoming>) -> Result<Answer, Broken> {
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.map_err(|error| Broken::new("cut off", &error))?;
    let trailers: Option<HeaderMap> = body.trailers().cloned();
    let (status, headers) = (parts.status, parts.headers);
    Ok(Answer { status, headers, trailers, body: body.to_bytes() })
}

/// Has hyper's tasks run on the worker's thread.
#[derive(Clone, Copy)]
struct Here;

impl<F: Future<Output: 'static> + 'static> hyper::rt::Executor<F> for Here {
    fn execute(&self, future: F) {
        tokio::task::spawn_local(future);
    }
}
