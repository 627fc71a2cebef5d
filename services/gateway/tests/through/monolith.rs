//! A monolith that does what a test tells it, and remembers what it was asked.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::HeaderMap;
use http_body_util::BodyExt;
use tokio::net::TcpListener;

/// What one request is answered; `Echo` when nothing is left.
#[derive(Clone, Copy, Debug)]
pub enum Say {
    /// The body, with headers that must not pass.
    Echo,
    Fenced,
    Busy,
    /// The connection breaks after the request was read.
    Break,
    Sleep(u64),
}

#[derive(Clone, Debug)]
pub struct Asked {
    pub line: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

pub struct Monolith {
    pub address: SocketAddr,
    script: Mutex<VecDeque<Say>>,
    asked: Mutex<Vec<Asked>>,
}

impl Monolith {
    pub async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (script, asked) = (Mutex::default(), Mutex::default());
        let monolith = Arc::new(Self { address, script, asked });
        let router = Router::new().fallback(answer).with_state(monolith.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        monolith
    }

    pub fn says(&self, script: impl IntoIterator<Item = Say>) {
        self.script.lock().unwrap().extend(script);
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    pub fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

async fn answer(State(monolith): State<Arc<Monolith>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let line = format!("{} {}", parts.method, parts.uri);
    let asked = Asked { line, headers: parts.headers, body: body.clone() };
    monolith.asked.lock().unwrap().push(asked);
    let say = monolith.script.lock().unwrap().pop_front().unwrap_or(Say::Echo);
    let response = Response::builder();
    match say {
        Say::Echo => response
            .header("connection", "keep-alive, x-one-hop")
            .header("x-one-hop", "yes")
            .header("x-kept", "yes")
            .header("ficus-epoch", "7")
            .header("x-forwarded-host", "inside")
            .header("keep-alive", "timeout=5"),
        Say::Fenced => response.status(503).header("ficus-fenced", "notifications 1"),
        Say::Busy => response.status(503).header("retry-after", "7"),
        // Unwinding ends the connection's task, and with it the connection; nothing is printed.
        Say::Break => std::panic::resume_unwind(Box::new(())),
        Say::Sleep(milliseconds) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            response
        }
    }
    .body(Body::from(body))
    .unwrap()
}
