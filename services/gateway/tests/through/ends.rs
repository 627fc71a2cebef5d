//! The end of a gateway, as callers see it. It must have left the control database before the process is ended.

use std::time::{Duration, Instant};

use ficus_gateway::config::Limits;
use ficus_owners::Owners;
use http::{Method, StatusCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use trellis_testkit::wait_until;

use crate::{
    monolith::Say,
    stand::{LIMITS, MOVING, Stand},
};

#[tokio::test]
async fn at_the_end_what_is_under_way_has_its_answer() {
    let stand = Stand::start(MOVING).await;
    assert_eq!(stand.get("/readyz").await.status, StatusCode::OK);
    stand.monolith.says([Say::Sleep(300)]);
    let answer = stand.begin(Method::POST, "/slow", "done");
    let arrived = async || !stand.monolith.lines().is_empty();
    wait_until("it has arrived", Duration::from_secs(30), arrived).await;
    stand.shutdown.request();
    stand.serving.await.unwrap();
    assert_eq!(answer.await.unwrap().body, "done");
    assert!(TcpStream::connect(stand.address).await.is_err());
}

#[tokio::test]
async fn a_first_head_that_does_not_end_is_waited_for_one_second() {
    let stand = Stand::start(MOVING).await;
    let mut slow = TcpStream::connect(stand.address).await.unwrap();
    slow.write_all(b"GET /v1/inbox HTTP/1.1\r\nHost: ").await.unwrap();
    assert_eq!(stand.get("/readyz").await.status, StatusCode::OK);
    let requested = Instant::now();
    stand.shutdown.request();
    stand.serving.await.unwrap();
    assert!(requested.elapsed() < Duration::from_secs(3), "{:?}", requested.elapsed());
    assert_eq!(slow.read(&mut [0; 1]).await.unwrap_or(0), 0);
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_waited_for_eight_seconds() {
    let limits = Limits { time_limit: 30, ..LIMITS };
    let owners = Owners::fixed([("notifications".to_owned(), MOVING)]);
    let stand = Stand::with(owners, limits).await;
    stand.monolith.says([Say::Sleep(20_000)]);
    let answer = stand.begin(Method::POST, "/slow", "done");
    let arrived = async || !stand.monolith.lines().is_empty();
    wait_until("it has arrived", Duration::from_secs(30), arrived).await;
    let requested = Instant::now();
    stand.shutdown.request();
    stand.serving.await.unwrap();
    let waited = requested.elapsed();
    assert!(waited > Duration::from_secs(7) && waited < Duration::from_secs(9), "{waited:?}");
    answer.abort();
}
