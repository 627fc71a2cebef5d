//! The owners, and how a request is put to them.

mod codec;
mod contract;
mod fields;
mod grpc;
mod http;
mod identity;

use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use ::http::Request;
use anyhow::ensure;
use axum::response::Response;
use ficus_control_api::subject::{Capability, Subject};
use ficus_routing::{Body, BoxError, Choice, Match, Side};
use tower::Service;

use crate::error::UpstreamError;
pub use contract::{Contract, contract};
use grpc::GrpcUpstream;
use http::HttpUpstream;
pub use identity::Identity;

/// Sends a request to where its [`Choice`] says.
#[derive(Clone)]
pub struct Upstreams(Arc<Inner>);

struct Inner {
    monolith: HttpUpstream,
    services: HashMap<String, ServiceUpstream>,
}

enum ServiceUpstream {
    Http(Box<HttpUpstream>),
    Grpc(GrpcUpstream),
}

impl Upstreams {
    /// Connects to nothing yet. An answer over HTTP breaks off when nothing more of it has come for `silence`.
    pub fn new(
        subject: &Subject,
        identity: &Arc<Identity>,
        silence: Duration,
    ) -> anyhow::Result<Self> {
        let service = |(name, capability): (&String, &Capability)| {
            let upstream = if capability.http {
                ServiceUpstream::Http(HttpUpstream::new(&capability.service, name, silence)?.into())
            } else {
                ensure!(
                    capability.routes.is_empty(),
                    "capability {name} lists routes, so its service has no RPCs: write http = true"
                );
                ServiceUpstream::Grpc(GrpcUpstream::new(
                    &capability.service,
                    name,
                    identity.clone(),
                )?)
            };
            Ok((name.clone(), upstream))
        };
        let monolith = HttpUpstream::new(&subject.monolith.url, "monolith", silence)?;
        let services = subject.capability.iter().map(service).collect::<anyhow::Result<_>>()?;
        Ok(Self(Arc::new(Inner { monolith, services })))
    }
}

impl Inner {
    async fn send(&self, request: Request<Body>) -> Result<Response, UpstreamError> {
        let choice = request.extensions().get::<Choice>().copied();
        let found = request.extensions().get::<Match>().cloned();
        match (choice.map(|choice| choice.side), found) {
            (Some(Side::Service), Some(found)) => self.serve(request, found).await,
            _ => self.monolith.send(request).await,
        }
    }

    async fn serve(&self, request: Request<Body>, found: Match) -> Result<Response, UpstreamError> {
        match self.services.get(&*found.route.capability) {
            Some(ServiceUpstream::Http(upstream)) => upstream.send(request).await,
            Some(ServiceUpstream::Grpc(upstream)) => upstream.send(request, &found).await,
            None => self.monolith.send(request).await,
        }
    }
}

impl Service<Request<Body>> for Upstreams {
    type Response = Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let inner = self.0.clone();
        Box::pin(async move { Ok(inner.send(request).await?) })
    }
}
