//! HTTP/1.1 over connections that are kept alive.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER};
use http::{StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::{Class, Reply, Request};

/// Sends requests to one base URL, which may change while it runs, or to several in turn.
#[derive(Debug, Clone)]
pub struct Client {
    pool: legacy::Client<HttpConnector, Full<Bytes>>,
    bases: Arc<RwLock<Vec<String>>>,
    turn: Arc<AtomicUsize>,
    patience: Duration,
}

impl Client {
    /// `base` is scheme and authority, as `http://127.0.0.1:8200`; `patience` how long an answer is
    /// waited for.
    pub fn new(base: &str, patience: Duration) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            pool: legacy::Client::builder(TokioExecutor::new()).build(connector),
            bases: Arc::new(RwLock::new(vec![base.to_owned()])),
            turn: Arc::default(),
            patience,
        }
    }

    /// Sends what follows to another base URL; what is in flight ends where it began.
    pub fn aim(&self, base: &str) {
        self.spread([base.to_owned()]);
    }

    /// Sends what follows to these in turn, one at least.
    pub fn spread(&self, bases: impl Into<Vec<String>>) {
        *self.bases.write().unwrap_or_else(PoisonError::into_inner) = bases.into();
    }

    /// Sends a request and waits for the whole answer.
    pub async fn send(&self, request: &Request) -> Reply {
        let sent = Instant::now();
        let outcome = tokio::time::timeout(self.patience, self.exchange(request)).await;
        let ended = Instant::now();
        let outcome = outcome.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        match outcome {
            Ok((status, class, body)) => {
                Reply { status: Some(status), class, body, sent, ended, error: String::new() }
            }
            Err(error) => Reply {
                status: None,
                class: Class::Unknown,
                body: Bytes::new(),
                sent,
                ended,
                error,
            },
        }
    }

    async fn exchange(&self, request: &Request) -> Result<(StatusCode, Class, Bytes), String> {
        let message = self.message(request).map_err(|error| error.to_string())?;
        let answer = self.pool.request(message).await.map_err(|error| describe(&error))?;
        let status = answer.status();
        let class = Class::of(status, answer.headers().contains_key(RETRY_AFTER));
        let body = answer.into_body().collect().await.map_err(|error| describe(&error))?;
        Ok((status, class, body.to_bytes()))
    }

    fn message(&self, request: &Request) -> Result<http::Request<Full<Bytes>>, http::Error> {
        let base = self.base();
        let uri: Uri = format!("{base}{}", request.path).try_into()?;
        let mut message = http::Request::builder().method(request.method.clone()).uri(uri);
        if let Some(token) = &request.bearer {
            message = message.header(AUTHORIZATION, format!("Bearer {token}"));
        }
        if let Some(key) = &request.idempotency_key {
            message = message.header("idempotency-key", key);
        }
        if !request.body.is_empty() {
            message = message.header(CONTENT_TYPE, "application/json");
        }
        message.body(Full::new(request.body.clone()))
    }

    fn base(&self) -> String {
        let bases = self.bases.read().unwrap_or_else(PoisonError::into_inner);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        bases.get(turn % bases.len().max(1)).cloned().unwrap_or_default()
    }
}

/// An error with its causes: the outermost alone says too little.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
