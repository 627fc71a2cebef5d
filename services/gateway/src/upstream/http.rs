//! An owner that speaks HTTP/1.1: bodies are streamed both ways.

use std::time::Duration;

use anyhow::{Context, ensure};
use axum::{body::Body as Answer, response::Response};
use ficus_process::fault;
use ficus_routing::Body;
use ficus_rpc::observe::{Called, CalledLayer};
use http::{
    Request, Uri, Version, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tower::{Layer, ServiceExt};

use crate::error::UpstreamError;

const CONNECT_TIME: Duration = Duration::from_secs(1);
/// Shorter than servers usually keep an idle connection, so that it is rarely closed under a request.
const IDLE_TIME: Duration = Duration::from_secs(20);

/// One owner's address, and the connections to it.
#[derive(Debug, Clone)]
pub struct HttpUpstream {
    authority: Authority,
    client: Called<Client<HttpConnector, Body>>,
}

impl HttpUpstream {
    /// Of `http://host:port`; `peer` names it in metrics and traces.
    pub fn new(url: &str, peer: &str) -> anyhow::Result<Self> {
        let uri: Uri = url.parse().with_context(|| format!("failed to read the address {url}"))?;
        let plain = uri.scheme() == Some(&Scheme::HTTP) && uri.path() == "/";
        ensure!(plain, "failed to read the address {url}: write http://host:port");
        let authority = uri.authority().context("the address names no host")?.clone();
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT_TIME));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIME)
            .build(connector);
        Ok(Self { authority, client: CalledLayer::http(peer).layer(client) })
    }

    /// The owner's answer as it is, errors of its own included.
    pub async fn send(&self, mut request: Request<Body>) -> Result<Response, UpstreamError> {
        *request.uri_mut() = self.target(request.uri());
        *request.version_mut() = Version::HTTP_11;
        let headers = request.headers_mut();
        // Both follow from the address and the body, whatever the caller had written.
        headers.remove(header::HOST);
        headers.remove(header::CONTENT_LENGTH);
        if fault::planted("repeat-any") {
            return self.send_at_any_rate(request).await;
        }
        self.exchange(request).await
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Response, UpstreamError> {
        let response = self.client.clone().oneshot(request).await.map_err(|error| {
            if error.is_connect() {
                UpstreamError::Unreachable(error.into())
            } else {
                UpstreamError::Lost(error.into())
            }
        })?;
        Ok(response.map(Answer::new))
    }

    /// What must not be done, for a test that is to notice it: a request whose answer was lost is sent again.
    async fn send_at_any_rate(&self, request: Request<Body>) -> Result<Response, UpstreamError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(UpstreamError::Lost)?.to_bytes();
        loop {
            let again = Request::from_parts(parts.clone(), Body::from(body.clone()));
            match self.exchange(again).await {
                Err(UpstreamError::Lost(_) | UpstreamError::Unreachable(_)) => {
                    tokio::time::sleep(CONNECT_TIME / 10).await;
                }
                answer => return answer,
            }
        }
    }

    fn target(&self, uri: &Uri) -> Uri {
        let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        let parts = Uri::builder().scheme(Scheme::HTTP).authority(self.authority.clone());
        parts.path_and_query(path).build().expect("scheme, authority and path are each well formed")
    }
}
