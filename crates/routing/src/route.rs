//! Names the capability that a request belongs to.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use http::Request;
use tower::{Layer, Service};

use crate::RouteTable;

/// Notes the [`Match`](crate::Match) of every request that the table names; others pass as they are.
#[derive(Debug, Clone)]
pub struct RouteLayer(Arc<RouteTable>);

impl RouteLayer {
    pub fn new(table: Arc<RouteTable>) -> Self {
        Self(table)
    }
}

impl<S> Layer<S> for RouteLayer {
    type Service = Routed<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Routed { table: self.0.clone(), inner }
    }
}

/// See [`RouteLayer`].
#[derive(Debug, Clone)]
pub struct Routed<S> {
    table: Arc<RouteTable>,
    inner: S,
}

impl<S, B> Service<Request<B>> for Routed<S>
where
    S: Service<Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> S::Future {
        if let Some(found) = self.table.find(request.method(), request.uri().path()) {
            request.extensions_mut().insert(found);
        }
        self.inner.call(request)
    }
}
