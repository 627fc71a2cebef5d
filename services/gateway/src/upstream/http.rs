//! An owner that speaks HTTP/1.1: bodies are streamed both ways.

use std::{
    pin::Pin,
    task::{self, Poll},
    time::Duration,
};

use anyhow::{Context, ensure};
use axum::{body::Body as Answer, response::Response};
use bytes::Bytes;
use ficus_process::fault;
use ficus_routing::{Body, BoxError};
use ficus_rpc::observe::{Called, CalledLayer};
use http::{
    Request, Uri, Version, header,
    uri::{Authority, PathAndQuery, Scheme},
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tower::{Layer, ServiceExt};

use crate::{error::UpstreamError, pace::Patience};

const CONNECT_TIME: Duration = Duration::from_secs(1);
/// Shorter than servers usually keep an idle connection (Node, uvicorn and Apache 5 s unless they are told otherwise), so that
/// it is rarely closed under a request.
const IDLE_TIME: Duration = Duration::from_secs(4);

/// One owner's address, and the connections to it.
#[derive(Debug, Clone)]
pub struct HttpUpstream {
    authority: Authority,
    client: Called<Client<HttpConnector, Body>>,
    silence: Duration,
}

impl HttpUpstream {
    /// Of `http://host:port`; `peer` names it in metrics and traces. Its answer breaks off when nothing more of it has come
    /// for `silence`: of a host that is gone nothing else would tell.
    pub fn new(url: &str, peer: &str, silence: Duration) -> anyhow::Result<Self> {
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
        Ok(Self { authority, client: CalledLayer::http(peer).layer(client), silence })
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
        let patience = Patience::new(self.silence);
        Ok(response.map(|body| Answer::new(Moving { body, patience })))
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

/// An answer's body, which breaks off when nothing more of it comes.
struct Moving<B> {
    body: B,
    patience: Patience,
}

impl<B> http_body::Body for Moving<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut task::Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.patience.over(polled, context).map(|moved| match moved {
            Ok(frame) => frame.map(|frame| frame.map_err(Into::into)),
            Err(silent) => Some(Err(silent.into())),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
