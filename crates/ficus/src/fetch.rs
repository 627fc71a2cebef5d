//! GET of a document that fits into memory.

use std::time::Duration;

use anyhow::anyhow;
use bytes::Bytes;
use ficus_load::Dialer;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::{Request, StatusCode, header::ACCEPT};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{self, connect::HttpConnector},
    rt::TokioExecutor,
};

use crate::cause::root;

/// What a client sends its requests through, by `http` or `https`.
pub(crate) fn connector(dialer: &Dialer) -> HttpsConnector<HttpConnector> {
    HttpsConnectorBuilder::new()
        .with_tls_config(dialer.tls())
        .https_or_http()
        .enable_http1()
        .build()
}

/// Keeps its connections.
pub(crate) struct Fetcher {
    inner: legacy::Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    patience: Duration,
    /// Of an answer's body, in bytes.
    most: usize,
}

impl Fetcher {
    pub(crate) fn new(patience: Duration, most: usize, dialer: &Dialer) -> Self {
        let inner = legacy::Client::builder(TokioExecutor::new()).build(connector(dialer));
        Self { inner, patience, most }
    }

    /// Status and body; an error if there is no whole answer in time, or it is larger than may be.
    pub(crate) async fn get(&self, url: &str, accept: &str) -> anyhow::Result<(StatusCode, Bytes)> {
        let request = Request::get(url).header(ACCEPT, accept).body(Empty::new())?;
        let asked = tokio::time::timeout(self.patience, self.answer(request)).await;
        asked.map_err(|_| anyhow!("no answer within {:?}", self.patience))?
    }

    async fn answer(&self, request: Request<Empty<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
        let answer =
            self.inner.request(request).await.map_err(|error| anyhow!("{}", root(&error)))?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), self.most).collect().await;
        let body = body.map_err(|error| anyhow!("{}", root(error.as_ref())))?;
        Ok((status, body.to_bytes()))
    }
}
