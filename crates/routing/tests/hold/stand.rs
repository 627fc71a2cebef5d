//! Owners and an upstream that do what a test tells them.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use ficus_routing::{
    Body, BoxError, CapabilityRoutes, Choice, FENCED, HoldLayer, Limits, Ownership, Refusal,
    RouteLayer, RouteTable, Side, View,
};
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::sync::watch;
use tower::{ServiceBuilder, service_fn, util::BoxCloneService};

#[derive(Default)]
pub struct Guarded(Arc<()>);

/// Owners that a test sets.
#[derive(Clone)]
pub struct Owners(Arc<watch::Sender<(View, bool)>>, Arc<Guarded>);

impl Owners {
    pub fn new(view: View) -> Self {
        Self(Arc::new(watch::Sender::new((view, true))), Arc::default())
    }

    pub fn set(&self, view: View, may_read: bool) {
        self.0.send_replace((view, may_read));
    }

    pub fn guards(&self) -> usize {
        Arc::strong_count(&self.1.0) - 1
    }
}

impl Ownership for Owners {
    type Guard = Arc<()>;

    fn view(&self, _: &str) -> View {
        self.0.borrow().0
    }

    fn may_read(&self, _: &str) -> bool {
        self.0.borrow().1
    }

    fn begin(&self, _: &str) -> Arc<()> {
        self.1.0.clone()
    }

    fn changed(&self, _: &str) -> impl Future<Output = ()> + Send + 'static {
        let mut views = self.0.subscribe();
        async move {
            views.changed().await.expect("owners outlive requests");
        }
    }
}

pub const BEFORE: View = View { owner: Side::Monolith, epoch: 1, pending: false, unfinished: true };
pub const PENDING: View = View { pending: true, ..BEFORE };
pub const AFTER: View = View { owner: Side::Service, epoch: 2, ..BEFORE };

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Say {
    Yes,
    Fenced,
    FencedBy(&'static str),
    Busy,
    Break,
}

/// What owners were asked, and what they are to answer; `Yes` when nothing is left.
#[derive(Clone, Default)]
pub struct Upstream {
    script: Arc<Mutex<VecDeque<Say>>>,
    asked: Arc<Mutex<Vec<(Side, String)>>>,
}

impl Upstream {
    pub fn says(script: impl IntoIterator<Item = Say>) -> Self {
        let upstream = Self::default();
        upstream.script.lock().unwrap().extend(script);
        upstream
    }

    pub async fn answer(self, request: Request<Body>) -> Result<Response<()>, BoxError> {
        let side = request.extensions().get::<Choice>().expect("a choice").side;
        let body = request.into_body().collect().await?.to_bytes();
        self.asked.lock().unwrap().push((side, String::from_utf8_lossy(&body).into_owned()));
        let say = self.script.lock().unwrap().pop_front().unwrap_or(Say::Yes);
        let response = Response::builder();
        let busy = StatusCode::SERVICE_UNAVAILABLE;
        Ok(match say {
            Say::Yes => response.body(())?,
            Say::Fenced => response.status(busy).header(FENCED, "shop 1").body(())?,
            Say::FencedBy(value) => response.status(busy).header(FENCED, value).body(())?,
            Say::Busy => response.status(busy).body(())?,
            Say::Break => return Err("broken".into()),
        })
    }

    pub fn asked(&self) -> Vec<(Side, String)> {
        self.asked.lock().unwrap().clone()
    }

    pub fn sides(&self) -> Vec<Side> {
        self.asked().into_iter().map(|(side, _)| side).collect()
    }
}

pub type Gateway = BoxCloneService<Request<Body>, Response<()>, BoxError>;

pub fn gateway(owners: &Owners, upstream: &Upstream, limits: Limits) -> Gateway {
    let routes = ["GET /shop".to_owned(), "POST /shop".to_owned()];
    let shop = CapabilityRoutes { name: "shop", packages: &[], routes: &routes };
    let table = Arc::new(RouteTable::build(None, &[shop]).expect("a table"));
    let upstream = upstream.clone();
    BoxCloneService::new(
        ServiceBuilder::new()
            .layer(RouteLayer::new(table.clone()))
            .layer(HoldLayer::new(owners.clone(), &table, limits))
            .service(service_fn(move |request| upstream.clone().answer(request))),
    )
}

pub fn read() -> Request<Body> {
    Request::get("/shop").body(Body::from(Bytes::new())).expect("a request")
}

pub fn write(body: &str) -> Request<Body> {
    at("/shop", Bytes::copy_from_slice(body.as_bytes()).into())
}

pub fn at(path: &str, body: Body) -> Request<Body> {
    Request::builder().method(Method::POST).uri(path).body(body).expect("a request")
}

/// A body whose length nobody is told.
pub fn chunks(chunks: &'static [&'static str]) -> Body {
    let frames = chunks.iter().map(|chunk| Ok::<_, BoxError>(Frame::data(Bytes::from(*chunk))));
    Body::new(StreamBody::new(stream::iter(frames)))
}

pub fn refusal(answer: Result<Response<()>, BoxError>) -> Refusal {
    answer.expect_err("a refusal").downcast_ref::<Refusal>().expect("a refusal").clone()
}
