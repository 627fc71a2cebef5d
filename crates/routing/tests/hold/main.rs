//! Who is asked, when it is held, and what is repeated. Time stands still but where a test moves it.
#![expect(clippy::unwrap_used, reason = "tests")]

mod stand;

use std::time::Duration;

use bytes::Bytes;
use ficus_routing::{Body, BoxError, Limits, Refusal, Side, View};
use futures::StreamExt;
use http::StatusCode;
use http_body::Frame;
use http_body_util::StreamBody;
use tokio::time::Instant;
use tower::ServiceExt;

use crate::stand::{
    AFTER, BEFORE, Owners, PENDING, Say, Upstream, at, chunks, gateway, read, refusal, write,
};

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
async fn once_a_switch_has_refused_one_write_the_others_wait_unsent_while_a_few_try() {
    let fenced = vec![Say::Fenced; 9];
    let (owners, upstream) = (Owners::new(PENDING), Upstream::says(fenced));
    let gateway = gateway(&owners, &upstream, Limits::default());
    let mut answers = vec![tokio::spawn(gateway.clone().oneshot(write("first")))];
    tokio::time::sleep(Duration::from_millis(1)).await;
    answers.extend((0..200).map(|_| tokio::spawn(gateway.clone().oneshot(write("w")))));
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(upstream.asked().len(), 1, "the others wait");
    // The owner has changed, but is not open yet.
    owners.set(View { pending: true, ..AFTER }, true);
    tokio::time::sleep(Duration::from_millis(19)).await;
    let tried = upstream.sides();
    assert!((2..=9).contains(&tried.len()), "{tried:?}");
    assert!(tried[1..].iter().all(|side| *side == Side::Service), "{tried:?}");
    // Who tries once it is open opens it for all.
    let began = Instant::now();
    for answer in answers {
        assert_eq!(answer.await.expect("no panic").expect("an answer").status(), StatusCode::OK);
    }
    assert!(began.elapsed() <= Duration::from_millis(25), "{:?}", began.elapsed());
    assert_eq!(upstream.asked().len(), 9 + 201, "each had its effect once");
}

#[tokio::test(start_paused = true)]
async fn what_waits_unsent_goes_once_no_switch_is_pending() {
    let (owners, upstream) = (Owners::new(PENDING), Upstream::says([Say::Fenced]));
    let gateway = gateway(&owners, &upstream, Limits::default());
    let first = tokio::spawn(gateway.clone().oneshot(write("first")));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let late = tokio::spawn(gateway.clone().oneshot(write("late")));
    tokio::time::sleep(Duration::from_millis(1)).await;
    let began = Instant::now();
    owners.set(BEFORE, true);
    for answer in [first, late] {
        assert_eq!(answer.await.expect("no panic").expect("an answer").status(), StatusCode::OK);
    }
    assert_eq!(began.elapsed(), Duration::ZERO, "the view woke both");
    assert_eq!(upstream.asked().len(), 3);
    // A fence that nobody opened again keeps nobody when no switch is pending.
    let again = gateway.oneshot(write("again")).await.expect("an answer");
    assert_eq!(again.status(), StatusCode::OK);
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
