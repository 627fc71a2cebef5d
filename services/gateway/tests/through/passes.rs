//! What arrives, and where.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use ficus_owners::{Owners, View};
use ficus_rpc::identity::{Caller, Verifier};
use http::{Method, StatusCode};

use crate::{
    monolith::Monolith,
    recorder::Recorder,
    service::{LARGE, Service},
    stand::{LIMITS, MOVED, MOVING, Stand},
};

#[tokio::test]
async fn what_no_route_names_passes_to_the_monolith_as_it_is() {
    let stand = Stand::start(MOVING).await;
    let headers = [("authorization", "Bearer person-42"), ("idempotency-key", "k")];
    let body = Bytes::from(vec![b'x'; 3 << 20]);
    let answer = stand.send(Method::PUT, "/any/%7Bthing%7D?a=b&a=%20", &headers, body).await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 3 << 20));
    let asked = &stand.monolith.asked()[0];
    assert_eq!(asked.line, "PUT /any/%7Bthing%7D?a=b&a=%20");
    assert_eq!(asked.headers["authorization"], "Bearer person-42");
    assert_eq!(asked.headers["idempotency-key"], "k");
    assert_eq!(asked.headers["host"], stand.monolith.address.to_string());
    // An owner may not take a body of which it is not told how long it is.
    assert_eq!(asked.headers["content-length"], (3 << 20).to_string());
    assert!(!asked.headers.contains_key("transfer-encoding"));
}

#[tokio::test]
async fn a_length_that_was_not_told_is_not_made_up() {
    let recorder = Recorder::saying(b"HTTP/1.1 200 OK\r\nX-Kept: yes\r\n\r\n").await;
    let stand = Stand::before(&recorder, LIMITS).await;
    let answer = stand.raw("HEAD /any HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await;
    assert!(answer.contains("x-kept: yes"), "{answer}");
    assert!(!answer.contains("content-length"), "{answer}");
}

#[tokio::test]
async fn an_answer_of_a_service_may_be_as_large_as_the_monoliths() {
    let stand = Stand::start(MOVED).await;
    let answer = stand.get("/v1/inbox?page_token=large").await;
    assert_eq!(answer.status, StatusCode::OK, "{:.200}", answer.body);
    assert!(answer.body.len() > LARGE, "{}", answer.body.len());
}

#[tokio::test]
async fn the_owner_of_the_moment_answers() {
    let stand = Stand::start(MOVING).await;
    stand.get("/v1/inbox?page_size=5").await;
    assert_eq!(stand.monolith.lines(), ["GET /v1/inbox?page_size=5"]);

    stand.now(MOVED);
    let answer = stand.get("/v1/inbox?page_size=5&page_token=t").await;
    assert_eq!(
        (answer.status, &answer.headers["content-type"]),
        (StatusCode::OK, &"application/json".parse().unwrap())
    );
    assert_eq!(
        answer.body,
        r#"{"notifications":[{"id":5,"kind":"KIND_ASSIGNMENT","workspace_id":0,"actor_id":0,"task_id":0,"comment_id":0,"read":false}],"next_page_token":"t"}"#
    );
    let head = stand.send(Method::HEAD, "/v1/inbox", &[], Bytes::new()).await;
    assert_eq!((head.status, head.body.as_str()), (StatusCode::OK, ""));
    assert_eq!(stand.monolith.lines().len(), 1);

    stand.now(View { epoch: 3, ..MOVING });
    stand.get("/v1/inbox").await;
    assert_eq!(stand.monolith.lines().len(), 2);
}

#[tokio::test]
async fn a_service_learns_key_trace_deadline_and_who_calls() {
    ficus_process::trace_only();
    let stand = Stand::start(MOVED).await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let headers =
        [("authorization", "Bearer person-42"), ("idempotency-key", "k"), ("traceparent", trace)];
    let answer = stand.send(Method::POST, "/v1/inbox/7/read", &headers, Bytes::new()).await;
    assert_eq!(
        (answer.status, &answer.headers["idempotent-replayed"]),
        (StatusCode::OK, &"true".parse().unwrap())
    );
    assert_eq!(stand.service.written(), [7]);
    assert_eq!(stand.service.metadata("idempotency-key").as_deref(), Some("k"));
    let carried = stand.service.metadata("traceparent").unwrap();
    assert!(carried.starts_with(&trace[..36]) && carried != trace, "not a child: {carried}");
    assert!(stand.service.metadata("grpc-timeout").is_some());

    let token = stand.service.metadata("authorization").unwrap();
    let keys = format!("http://{}/.well-known/jwks.json", stand.address).parse().unwrap();
    let caller =
        Verifier::fetching(vec![keys]).verify(token.strip_prefix("Bearer ").unwrap()).await;
    assert_eq!(caller.unwrap(), Some(Caller { user_id: 42 }));
}

#[tokio::test]
async fn nobody_and_strangers_reach_the_service_without_an_identity() {
    let stand = Stand::start(MOVED).await;
    for authorization in ["", "Bearer unknown", "Basic cGVyc29uLTQy", "person-42"] {
        let headers = [("authorization", authorization)];
        let answer = stand.send(Method::POST, "/v1/inbox/7/read", &headers, Bytes::new()).await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(stand.service.metadata("authorization"), None, "{authorization}");
    }
}

#[tokio::test]
async fn a_token_is_resolved_once_for_those_who_ask_together_and_again_after_a_second() {
    let stand = Stand::start(MOVED).await;
    let headers = [("authorization", "Bearer person-42")];
    let ask = || stand.send(Method::GET, "/v1/inbox", &headers, Bytes::new());
    tokio::join!(ask(), ask(), ask(), ask());
    assert_eq!(stand.service.introspected.load(Ordering::SeqCst), 1);
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    ask().await;
    assert_eq!(stand.service.introspected.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_service_may_speak_http_and_its_routes_be_listed() {
    let (monolith, service) = (Monolith::start().await, Monolith::start().await);
    let subject = format!(
        r#"control = {{ database = {{ env = "UNUSED" }}, controllers = [] }}
           monolith = {{ url = "http://{}", database = {{ env = "UNUSED" }} }}
           [capability.shop]
           service = "http://{}"
           http = true
           database = {{ env = "UNUSED" }}
           routes = ["GET /shop/{{item}}"]
           move = """#,
        monolith.address, service.address
    );
    let owners = Owners::fixed([("shop".to_owned(), MOVED)]);
    let grpc = Service::start().await;
    let stand = Stand::of(&subject, owners, LIMITS, monolith, grpc).await;
    let headers = [("authorization", "Bearer a")];
    stand.send(Method::GET, "/shop/7", &headers, Bytes::new()).await;
    stand.get("/shop").await;
    stand.get("/openapi.json").await;
    assert_eq!(service.lines(), ["GET /shop/7"]);
    assert_eq!(service.asked()[0].headers["authorization"], "Bearer a");
    assert_eq!(stand.monolith.lines(), ["GET /shop", "GET /openapi.json"]);
}
