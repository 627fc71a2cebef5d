//! Who is asked, when it is held, and what is repeated. Time stands still but where a test moves it.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use ficus_routing::{
    Body, BoxError, CapabilityRoutes, Choice, FENCED, HoldLayer, Limits, Ownership, Refusal,
    RouteLayer, RouteTable, Side, View,
};
use futures::{StreamExt, stream};
use http::{Method, Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use tokio::{sync::watch, time::Instant};
use tower::{ServiceBuilder, ServiceExt, service_fn, util::BoxCloneService};

#[derive(Default)]
struct Guarded(Arc<()>);

/// Owners that a test sets.
#[derive(Clone)]
struct Owners(Arc<watch::Sender<(View, bool)>>, Arc<Guarded>);

impl Owners {
    fn new(view: View) -> Self {
        Self(Arc::new(watch::Sender::new((view, true))), Arc::default())
    }

    fn set(&self, view: View, may_read: bool) {
        self.0.send_replace((view, may_read));
    }

    fn guards(&self) -> usize {
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

const BEFORE: View = View { owner: Side::Monolith, epoch: 1, pending: false, unfinished: true };
const PENDING: View = View { pending: true, ..BEFORE };
const AFTER: View = View { owner: Side::Service, epoch: 2, ..BEFORE };

#[derive(Clone, Copy, PartialEq, Debug)]
enum Say {
    Yes,
    Fenced,
    FencedBy(&'static str),
    Busy,
    Break,
}

/// What owners were asked, and what they are to answer; `Yes` when nothing is left.
#[derive(Clone, Default)]
struct Upstream {
    script: Arc<Mutex<VecDeque<Say>>>,
    asked: Arc<Mutex<Vec<(Side, String)>>>,
}

impl Upstream {
    fn says(script: impl IntoIterator<Item = Say>) -> Self {
        let upstream = Self::default();
        upstream.script.lock().unwrap().extend(script);
        upstream
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<()>, BoxError> {
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

    fn asked(&self) -> Vec<(Side, String)> {
        self.asked.lock().unwrap().clone()
    }

    fn sides(&self) -> Vec<Side> {
        self.asked().into_iter().map(|(side, _)| side).collect()
    }
}

type Gateway = BoxCloneService<Request<Body>, Response<()>, BoxError>;

fn gateway(owners: &Owners, upstream: &Upstream, limits: Limits) -> Gateway {
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

fn read() -> Request<Body> {
    Request::get("/shop").body(Body::from(Bytes::new())).expect("a request")
}

fn write(body: &str) -> Request<Body> {
    at("/shop", Bytes::copy_from_slice(body.as_bytes()).into())
}

fn at(path: &str, body: Body) -> Request<Body> {
    Request::builder().method(Method::POST).uri(path).body(body).expect("a request")
}

/// A body whose length nobody is told.
fn chunks(chunks: &'static [&'static str]) -> Body {
    let frames = chunks.iter().map(|chunk| Ok::<_, BoxError>(Frame::data(Bytes::from(*chunk))));
    Body::new(StreamBody::new(stream::iter(frames)))
}

fn refusal(answer: Result<Response<()>, BoxError>) -> Refusal {
    answer.expect_err("a refusal").downcast_ref::<Refusal>().expect("a refusal").clone()
}

#[tokio::test(start_paused = true)]
async fn the_owner_of_the_view_is_asked_and_the_monolith_for_what_no_route_names() {
    let (owners, upstream) = (Owners::new(AFTER), Upstream::default());
    let gateway = gateway(&owners, &upstream, Limits::default());
    gateway.clone().oneshot(read()).await.expect("an answer");
    gateway.clone().oneshot(write("a")).await.expect("an answer");
    gateway.oneshot(at("/else", Bytes::from("b").into())).await.expect("an answer");
    assert_eq!(upstream.sides(), [Side::Service, Side::Service, Side::Monolith]);
}

#[tokio::test(start_paused = true)]
async fn a_fenced_write_is_held_and_repeated_whole_at_the_new_owner() {
    let upstream = Upstream::says([Say::Fenced]);
    let owners = Owners::new(PENDING);
    let gateway = gateway(&owners, &upstream, Limits::default());
    let answer = tokio::spawn(gateway.oneshot(at("/shop", chunks(&["all ", "of it"]))));
    tokio::task::yield_now().await;
    owners.set(AFTER, true);
    let began = Instant::now();
    assert_eq!(answer.await.expect("no panic").expect("an answer").status(), StatusCode::OK);
    assert_eq!(began.elapsed(), Duration::ZERO, "the view woke it, no timer did");
    let whole = "all of it".to_owned();
    assert_eq!(upstream.asked(), [(Side::Monolith, whole.clone()), (Side::Service, whole)]);
}

#[tokio::test(start_paused = true)]
async fn it_is_repeated_until_the_new_owner_opens_and_all_who_wait_follow_at_once() {
    let (owners, upstream) = (Owners::new(AFTER), Upstream::says([Say::Fenced; 12]));
    let gateway = gateway(&owners, &upstream, Limits::default());
    let began = Instant::now();
    let answers: Vec<_> =
        (0..10).map(|_| tokio::spawn(gateway.clone().oneshot(write("w")))).collect();
    for answer in answers {
        assert_eq!(answer.await.expect("no panic").expect("an answer").status(), StatusCode::OK);
    }
    assert!(began.elapsed() <= Duration::from_millis(21), "{:?}", began.elapsed());
    assert_eq!(upstream.asked().len(), 12 + 10, "each had its effect once");
}

#[tokio::test(start_paused = true)]
async fn a_read_that_was_fenced_is_repeated_too() {
    let (owners, upstream) = (Owners::new(BEFORE), Upstream::says([Say::Fenced]));
    let answer = gateway(&owners, &upstream, Limits::default()).oneshot(read()).await;
    assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn a_request_of_another_part_that_met_the_fence_is_repeated_where_it_was() {
    let (owners, upstream) = (Owners::new(PENDING), Upstream::says([Say::Fenced]));
    let request = at("/sign-up", Bytes::from("me").into());
    let answer = gateway(&owners, &upstream, Limits::default()).oneshot(request).await;
    assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
    assert_eq!(upstream.sides(), [Side::Monolith; 2]);
}

#[tokio::test(start_paused = true)]
async fn no_other_failure_is_repeated() {
    for say in [Say::Busy, Say::Break, Say::FencedBy("another 1"), Say::FencedBy("")] {
        let (owners, upstream) = (Owners::new(PENDING), Upstream::says([say]));
        let answer = gateway(&owners, &upstream, Limits::default()).oneshot(write("w")).await;
        assert_eq!(upstream.asked().len(), 1, "{say:?}");
        assert_eq!(answer.is_err(), say == Say::Break);
    }
}

#[tokio::test(start_paused = true)]
async fn a_fence_that_stays_shut_is_a_refusal_after_two_seconds() {
    let (owners, upstream) = (Owners::new(PENDING), Upstream::says(vec![Say::Fenced; 1_000]));
    let began = Instant::now();
    let answer = gateway(&owners, &upstream, Limits::default()).oneshot(write("w")).await;
    assert_eq!(refusal(answer), Refusal::HeldTooLong("shop".into()));
    assert_eq!(began.elapsed(), Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn reads_wait_for_leave_to_read_and_then_ask_the_owner_of_that_moment() {
    let (owners, upstream) = (Owners::new(PENDING), Upstream::default());
    owners.set(PENDING, false);
    let gateway = gateway(&owners, &upstream, Limits::default());
    let answer = tokio::spawn(gateway.clone().oneshot(read()));
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(upstream.asked(), []);
    owners.set(AFTER, true);
    answer.await.expect("no panic").expect("an answer");
    assert_eq!(upstream.sides(), [Side::Service]);

    owners.set(PENDING, false);
    assert_eq!(refusal(gateway.oneshot(read()).await), Refusal::HeldTooLong("shop".into()));
}

#[tokio::test(start_paused = true)]
async fn a_write_too_large_to_keep_is_guarded_and_not_repeated() {
    let limits = Limits { body: 4, ..Limits::default() };
    for body in [Body::from(Bytes::from("too large")), chunks(&["too", " ", "large"])] {
        let (owners, upstream) = (Owners::new(BEFORE), Upstream::says([Say::Fenced]));
        let answer = gateway(&owners, &upstream, limits).oneshot(at("/shop", body)).await;
        assert_eq!(refusal(answer), Refusal::NotRepeatable("shop".into()));
        assert_eq!(upstream.asked(), [(Side::Monolith, "too large".to_owned())]);
        assert_eq!(owners.guards(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_is_held_until_the_answer_and_a_write_that_needs_one_waits_for_the_switch() {
    let limits = Limits { body: 4, ..Limits::default() };
    let (owners, upstream) = (Owners::new(BEFORE), Upstream::default());
    let (mut body, rest) = futures::channel::mpsc::unbounded::<Result<Frame<Bytes>, BoxError>>();
    let gateway = gateway(&owners, &upstream, limits);
    body.start_send(Ok(Frame::data(Bytes::from("begun")))).expect("sent");
    let request = at("/shop", Body::new(StreamBody::new(rest.boxed())));
    let slow = tokio::spawn(gateway.clone().oneshot(request));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(owners.guards(), 1);

    owners.set(PENDING, true);
    let late = tokio::spawn(gateway.oneshot(write("later")));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!((owners.guards(), upstream.asked().len()), (1, 0));

    drop(body);
    slow.await.expect("no panic").expect("an answer");
    assert_eq!(owners.guards(), 0);
    owners.set(AFTER, true);
    late.await.expect("no panic").expect("an answer");
    assert_eq!(upstream.sides(), [Side::Monolith, Side::Service]);
}

#[tokio::test(start_paused = true)]
async fn no_more_are_held_than_may_be_and_no_more_bytes_are_kept() {
    let limits = Limits { held: 1, bodies: 1024, ..Limits::default() };
    let (owners, upstream) = (Owners::new(PENDING), Upstream::says(vec![Say::Fenced; 1_000]));
    let gateway = gateway(&owners, &upstream, limits);
    let first = tokio::spawn(gateway.clone().oneshot(write("first")));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let empty = gateway.clone().oneshot(write("")).await;
    assert_eq!(refusal(empty), Refusal::TooManyHeld("shop".into()));
    // No room is left for a body, so this one waits, unsent, for the end of the switch.
    let unkept = gateway.oneshot(write("second")).await;
    assert_eq!(refusal(unkept), Refusal::TooManyHeld("shop".into()));
    assert!(upstream.asked().iter().all(|(_, body)| body != "second"));
    assert_eq!(refusal(first.await.expect("no panic")), Refusal::HeldTooLong("shop".into()));
}

#[tokio::test(start_paused = true)]
async fn without_a_move_bodies_are_not_kept() {
    let view = View { unfinished: false, ..BEFORE };
    let (owners, upstream) = (Owners::new(view), Upstream::says([Say::Fenced]));
    let answer = gateway(&owners, &upstream, Limits::default()).oneshot(write("w")).await;
    assert_eq!(refusal(answer), Refusal::NotRepeatable("shop".into()));
}
