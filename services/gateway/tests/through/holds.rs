//! A switch, as callers see it.

use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};

use http::{Method, StatusCode};
use trellis_testkit::wait_until;

use crate::{
    monolith::Say,
    service::NOBODYS_WORD,
    stand::{MOVED, MOVING, PENDING, Stand},
};

const SOON: Duration = Duration::from_secs(2);
const READ: &str = "/v1/inbox/7/read";

#[tokio::test]
async fn a_fenced_write_is_held_and_has_its_effect_once_at_the_new_owner() {
    let stand = Stand::start(PENDING).await;
    stand.monolith.says([Say::Fenced; 1_000]);
    stand.service.fenced.store(3, Ordering::SeqCst);
    let answer = stand.begin(Method::POST, READ, r#"{"notification_id":7}"#);
    wait_until("the old owner refuses", SOON, async || !stand.monolith.asked().is_empty()).await;
    stand.now(MOVED);
    let answer = answer.await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    assert_eq!(stand.service.written(), [7]);
    let bodies = stand.monolith.asked();
    assert!(bodies.iter().all(|asked| asked.body == r#"{"notification_id":7}"#));
}

#[tokio::test]
async fn after_a_switch_that_was_given_up_the_old_owner_answers() {
    let stand = Stand::start(PENDING).await;
    stand.monolith.says([Say::Fenced]);
    let answer = stand.begin(Method::POST, READ, "{}");
    wait_until("the old owner refuses", SOON, async || !stand.monolith.asked().is_empty()).await;
    stand.now(MOVING);
    assert_eq!(answer.await.unwrap().status, StatusCode::OK);
    assert_eq!(stand.monolith.lines().len(), 2);
    assert!(stand.service.written().is_empty());
}

#[tokio::test]
async fn a_hundred_held_writes_are_answered_soon_after_the_new_owner_opens() {
    let stand = Stand::start(PENDING).await;
    stand.monolith.says(vec![Say::Fenced; 10_000]);
    let answers: Vec<_> = (0..90).map(|_| stand.begin(Method::POST, READ, "{}")).collect();
    wait_until("all are refused", SOON, async || stand.monolith.asked().len() >= 90).await;
    stand.now(MOVED);
    let opened = Instant::now();
    for answer in answers {
        assert_eq!(answer.await.unwrap().status, StatusCode::OK);
    }
    assert!(opened.elapsed() < Duration::from_millis(500), "{:?}", opened.elapsed());
    assert_eq!(stand.service.written().len(), 90);
}

#[tokio::test]
async fn a_request_of_another_part_that_meets_the_fence_is_repeated_there() {
    let stand = Stand::start(PENDING).await;
    stand.monolith.says([Say::Fenced, Say::Fenced]);
    let answer = stand.post("/v1/sign-up", "me").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "me"));
    assert_eq!(stand.monolith.lines(), ["POST /v1/sign-up"; 3]);
}

#[tokio::test]
async fn neither_a_plain_503_nor_a_lost_answer_is_repeated() {
    let stand = Stand::start(PENDING).await;
    stand.monolith.says([Say::Busy]);
    let answer = stand.post(READ, "{}").await;
    assert_eq!(
        (answer.status, &answer.headers["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"7".parse().unwrap())
    );
    assert_eq!(stand.monolith.lines().len(), 1);

    stand.monolith.says([Say::Break]);
    let answer = stand.post(READ, "{}").await;
    assert_eq!((answer.status, answer.code()), (StatusCode::BAD_GATEWAY, "answer_lost".to_owned()));
    assert!(answer.headers.get("retry-after").is_none(), "whether it had its effect is unknown");
    assert_eq!(stand.monolith.lines().len(), 2);

    stand.now(MOVED);
    let answer = stand.post(&format!("/v1/inbox/{NOBODYS_WORD}/read"), "{}").await;
    assert_eq!((answer.status, answer.code()), (StatusCode::BAD_GATEWAY, "answer_lost".to_owned()));
    assert!(answer.headers.get("retry-after").is_none(), "nor is it here");
}

#[tokio::test]
async fn a_fence_that_stays_shut_is_a_refusal_after_two_seconds() {
    let stand = Stand::start(PENDING).await;
    stand.monolith.says(vec![Say::Fenced; 10_000]);
    let began = Instant::now();
    let answer = stand.post(READ, "{}").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.code(), "switch_under_way");
    assert_eq!(answer.headers["retry-after"], "1");
    assert!(answer.headers.get("ficus-fenced").is_none());
    let held = began.elapsed();
    assert!(held > Duration::from_millis(1_900) && held < Duration::from_secs(3), "{held:?}");
}

#[tokio::test]
async fn reads_without_a_lease_wait_and_then_ask_the_new_owner() {
    let stand = Stand::start(PENDING).await;
    stand.now(PENDING);
    assert_eq!(stand.get("/v1/inbox").await.status, StatusCode::OK, "the lease is fresh");
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = stand.begin(Method::GET, "/v1/inbox?page_size=3", "");
    let other = stand.get("/v1/workspaces").await;
    assert_eq!(other.status, StatusCode::OK, "other parts are not held");
    assert_eq!(stand.monolith.lines(), ["GET /v1/inbox", "GET /v1/workspaces"]);
    stand.now(MOVED);
    assert!(answer.await.unwrap().body.contains(r#""id":3"#));
    assert_eq!(stand.monolith.lines().len(), 2);
}

#[tokio::test]
async fn a_write_too_large_to_keep_waits_for_the_switch_and_is_never_repeated() {
    let stand = Stand::start(PENDING).await;
    let large = "x".repeat(2 << 20);
    let waiting = stand.begin(Method::POST, READ, &large);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(stand.monolith.lines().len(), 0);
    stand.monolith.says([Say::Fenced]);
    stand.now(MOVING);
    let answer = waiting.await.unwrap();
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::SERVICE_UNAVAILABLE, "switch_under_way".to_owned())
    );
    assert_eq!(stand.monolith.lines().len(), 1);
}
