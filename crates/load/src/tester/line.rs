//! Connections of one worker. Nothing here leaves its thread.

use std::{
    cell::{Cell, RefCell},
    error::Error,
    rc::Rc,
    time::Duration,
};

use http::{HeaderName, HeaderValue};
use tokio::{sync::Mutex, time::timeout};

use super::{
    call::{Answer, Call},
    dial::{Dialer, Stream},
    http1::{self, Http1},
    http2::{self, Http2},
    target::{Protocol, Server},
};
use crate::client::describe;

/// Most requests are smaller.
const ROOM: usize = 512;
/// How often a server may say that it has not taken a request.
const TRIES: u32 = 3;

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

/// Connections to one server.
pub(super) struct Lines {
    dialer: Dialer,
    server: Server,
    protocol: Protocol,
    kind: Kind,
}

enum Kind {
    /// One request each; those at rest are kept, the one used last first.
    Http1(RefCell<Vec<Http1>>),
    /// Many requests each, which take turns.
    Http2 { lines: Vec<Mutex<Option<Rc<Http2>>>>, turn: Cell<usize> },
}

impl Lines {
    pub fn new(dialer: Dialer, server: Server, protocol: Protocol, connections: u32) -> Self {
        let kind = match protocol {
            Protocol::Http => Kind::Http1(RefCell::default()),
            Protocol::Grpc => Kind::Http2 {
                lines: (0..connections.max(1)).map(|_| Mutex::default()).collect(),
                turn: Cell::new(0),
            },
        };
        Self { dialer, server, protocol, kind }
    }

    /// Sends a request with one more header, if there is one, and waits for the whole answer, `patience` long.
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
                    self.by_http2(line, call, number, more.as_ref()).await
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
            if !is_new && !line.is_usable().await {
                continue;
            }
            match line.exchange(&call.kind.method, request).await {
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

    /// What the server has not taken, as it takes no more by this connection, is no failure either.
    async fn by_http2(
        &self,
        line: &Mutex<Option<Rc<Http2>>>,
        call: &Call,
        number: u64,
        more: Option<&(HeaderName, HeaderValue)>,
    ) -> Result<Answer, Broken> {
        let mut outcome = Err(http2::Error::Unsent);
        for _ in 0..TRIES {
            let mut open = line.lock().await;
            let connection = match &*open {
                Some(connection) if connection.is_usable() => connection.clone(),
                _ => open.insert(self.connect_http2().await?).clone(),
            };
            drop(open);
            outcome = connection.exchange(call, number, more).await;
            if !matches!(outcome, Err(http2::Error::Unsent)) {
                break;
            }
        }
        outcome.map_err(|error| match error {
            http2::Error::CutOff => Broken::new("cut off", &error),
            error => Broken::new("broken", &error),
        })
    }

    async fn connect_http2(&self) -> Result<Rc<Http2>, Broken> {
        let opened = Http2::open(self.connect().await?).await;
        opened.map(Rc::new).map_err(|error| Broken::new("connect", &error))
    }

    async fn connect(&self) -> Result<Stream, Broken> {
        let dialled = self.dialer.dial(&self.server, self.protocol).await;
        dialled.map_err(|error| Broken::new(error.kind(), &error))
    }
}
