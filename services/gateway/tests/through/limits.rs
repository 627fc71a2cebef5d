//! How much is taken, and what is answered when something is away.

use std::time::Duration;

use bytes::Bytes;
use ficus_gateway::config::Limits;
use ficus_owners::Owners;
use http::{Method, StatusCode};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use trellis_testkit::wait_until;

use crate::{
    monolith::{Monolith, Say},
    recorder::Recorder,
    service::Service,
    stand::{LIMITS, MOVED, MOVING, Stand, code_of},
};

async fn with(limits: Limits) -> Stand {
    Stand::with(Owners::fixed([("notifications".to_owned(), MOVING)]), limits).await
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_whether_it_says_so_or_not() {
    let stand = with(Limits { body_limit: 10, ..LIMITS }).await;
    for path in ["/any", "/v1/inbox/7/read"] {
        let answer = stand.post(path, "12345678901").await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large".to_owned())
        );
        let chunked = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n12345678901\r\n0\r\n\r\n"
        );
        assert!(stand.raw(&chunked).await.starts_with("HTTP/1.1 413 "), "{path}");
    }
    assert_eq!(stand.post("/any", "1234567890").await.status, StatusCode::OK);
}

#[tokio::test]
async fn who_still_sends_is_told_why_it_is_refused() {
    let stand = with(LIMITS).await;
    stand.now(MOVED);
    let body = vec![b' '; 6 << 20];
    let long = format!("/{}", "x".repeat(9_000));
    for (path, code) in [
        ("/v1/inbox/7/read", "body_too_large"),
        ("/openapi.json", "method_not_allowed"),
        (&long, "target_too_long"),
    ] {
        let mut stream = TcpStream::connect(stand.address).await.unwrap();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let (first, rest) = body.split_at(1 << 20);
        stream.write_all(first).await.unwrap();
        // The answer is there by now, and with it all that a server does that reads no more.
        tokio::time::sleep(Duration::from_millis(100)).await;
        stream.write_all(rest).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains(code), "{path:.20}: {answer}");
    }
}

#[tokio::test]
async fn heads_that_are_too_large_are_refused() {
    let stand = with(LIMITS).await;
    let large = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(80_000));
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(200));
    let answered = "GET /any HTTP/1.1\r\nHost: a\r\n\r\n";
    for head in [&large, &many] {
        for before in ["", answered] {
            let answer = stand.raw(&format!("{before}{head}")).await;
            let (earlier, refusal) = answer.split_at(answer.find("HTTP/1.1 431 ").unwrap());
            assert_eq!(earlier.starts_with("HTTP/1.1 200 "), !before.is_empty(), "{earlier}");
            assert_eq!(code_of(refusal), "head_too_large");
        }
    }
}

#[tokio::test]
async fn an_owners_refusal_without_a_word_is_passed_on_as_it_is() {
    let recorder = Recorder::saying(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
    let stand = Stand::before(&recorder, LIMITS).await;
    let twice = "GET /any HTTP/1.1\r\nHost: a\r\n\r\nGET /any HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let answer = stand.raw(twice).await;
    assert_eq!(answer.matches("HTTP/1.1 400 Bad Request\r\n").count(), 2, "{answer}");
    assert_eq!(answer.matches("content-length: 0\r\n").count(), 2, "{answer}");
}

#[tokio::test]
async fn who_sends_a_head_without_end_is_told_why_it_is_refused() {
    let stand = with(LIMITS).await;
    let mut stream = TcpStream::connect(stand.address).await.unwrap();
    let part = format!("X: {}\r\n", "x".repeat(10_000)).repeat(40);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n").await.unwrap();
    for _ in 0..10 {
        stream.write_all(part.as_bytes()).await.unwrap();
        // The answer is there by now, and with it all that a server does that reads no more.
        tokio::time::sleep(Duration::from_millis(30)).await;
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(code_of(&answer), "head_too_large");
}

#[tokio::test]
async fn a_target_that_is_too_long_is_refused() {
    let stand = with(LIMITS).await;
    assert_eq!(stand.get(&format!("/{}", "x".repeat(8_000))).await.status, StatusCode::OK);
    for path in [format!("/{}", "x".repeat(9_000)), format!("/any?{}", "x".repeat(20_000))] {
        let answer = stand.get(&path).await;
        assert_eq!(
            (answer.status, answer.code()),
            (StatusCode::URI_TOO_LONG, "target_too_long".to_owned())
        );
    }
    assert_eq!(stand.monolith.lines().len(), 1);
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_given_up() {
    let stand = with(Limits { time_limit: 1, ..LIMITS }).await;
    stand.monolith.says([Say::Sleep(3_000)]);
    let answer = stand.get("/any").await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::GATEWAY_TIMEOUT, "deadline".to_owned())
    );
    stand.now(MOVED);
    let answer = stand.post("/v1/inbox/read-all", "").await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::GATEWAY_TIMEOUT, "deadline".to_owned())
    );
}

#[tokio::test]
async fn more_requests_than_may_be_are_refused_at_once() {
    let stand = with(Limits { in_flight: 1, ..LIMITS }).await;
    stand.monolith.says([Say::Sleep(1_000)]);
    let first = stand.begin(Method::GET, "/slow", "");
    let arrived = async || !stand.monolith.lines().is_empty();
    wait_until("the first has arrived", Duration::from_secs(30), arrived).await;
    let answer = stand.get("/any").await;
    assert_eq!(
        (answer.status, answer.code()),
        (StatusCode::SERVICE_UNAVAILABLE, "overloaded".to_owned())
    );
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(stand.get("/healthz").await.status, StatusCode::OK);
    assert_eq!(first.await.unwrap().status, StatusCode::OK);
    assert_eq!(stand.get("/any").await.status, StatusCode::OK);
}

#[tokio::test]
async fn an_owner_that_is_away_is_said_to_be_so() {
    let (monolith, service) = (Monolith::start().await, Service::start().await);
    let subject = r#"
        control = { database = { env = "UNUSED" }, controllers = [] }
        monolith = { url = "http://127.0.0.1:1", internal = "http://127.0.0.1:1", database = { env = "UNUSED" } }
        identity = { mode = "introspect", endpoint = "trellis.auth.v1.Sessions/Introspect" }
        [capability.notifications]
        service = "http://127.0.0.1:1"
        database = { env = "UNUSED" }
        packages = ["trellis.notifications.v1"]
        move = """#;
    let owners = Owners::fixed([("notifications".to_owned(), MOVED)]);
    let stand = Stand::of(subject, owners, LIMITS, monolith, service).await;
    let person = [("authorization", "Bearer person-42")];
    for (path, headers, code) in [
        ("/any", &[][..], "owner_unreachable"),
        ("/v1/inbox", &[][..], "owner_unreachable"),
        ("/v1/inbox", &person[..], "identity_unavailable"),
    ] {
        let answer = stand.send(Method::GET, path, headers, Bytes::new()).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (StatusCode::SERVICE_UNAVAILABLE, code)
        );
        assert_eq!(answer.headers["retry-after"], "1");
    }
}

#[tokio::test]
async fn errors_of_a_service_and_of_the_request_are_problem_documents() {
    let stand = Stand::start(MOVED).await;
    for (path, status, code) in [
        ("/v1/inbox/unread-count", StatusCode::NOT_FOUND, "not_found"),
        ("/v1/deliveries", StatusCode::INTERNAL_SERVER_ERROR, "internal"),
        ("/v1/inbox?page_size=x", StatusCode::BAD_REQUEST, "bad_request"),
        ("/v1/inbox?colour=red", StatusCode::BAD_REQUEST, "bad_request"),
    ] {
        let answer = stand.get(path).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path}");
    }
    let answer = stand.post("/v1/inbox/7/read", "{").await;
    assert_eq!((answer.status, answer.code().as_str()), (StatusCode::BAD_REQUEST, "bad_request"));
    let answer = stand.post("/v1/inbox/7/read", &"x".repeat(2 << 20)).await;
    assert_eq!(
        (answer.status, answer.code().as_str()),
        (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large")
    );
    assert!(stand.service.written().is_empty());
}
