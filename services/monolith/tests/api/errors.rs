//! What every route refuses alike.

use serde_json::json;

use crate::harness::Trellis;

#[tokio::test]
async fn a_request_without_a_session_is_refused() {
    let trellis = Trellis::start().await;
    for bearer in ["", "Bearer", "Bearer nonsense", "Basic dTpw"] {
        let headers = [("authorization", bearer)];
        let reply = trellis.send("GET", "/v1/inbox", &headers, String::new()).await;
        reply.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_body_that_is_not_the_contracts_is_refused() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    for body in [json!({"colour": 1}), json!({"name": 1}), json!([]), json!("name")] {
        person.post("/v1/workspaces", body).await.refused(400, "bad_request");
    }
    let big = json!({"name": "x".repeat(1024 * 1024)});
    person.post("/v1/workspaces", big).await.refused(413, "body_too_large");
}

#[tokio::test]
async fn a_path_or_a_query_that_is_not_the_contracts_is_refused() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    for path in ["/v1/tasks/one", "/v1/tasks/99999999999999999999", "/v1/inbox?page_size=x"] {
        person.get(path).await.refused(400, "bad_request");
    }
    person.get("/v1/inbox?colour=1").await.refused(400, "bad_request");
    person.get("/v1/inbox?page_size=-1").await.refused(400, "bad_page_size");
    person.get("/v1/inbox?page_token=x").await.refused(400, "bad_page_token");
}

#[tokio::test]
async fn who_still_sends_is_told_why_it_is_refused() {
    let trellis = Trellis::start().await;
    for _ in 0..20 {
        let reply = trellis.send("POST", "/v1/workspaces", &[], "x".repeat(6 << 20)).await;
        reply.refused(401, "unauthenticated");
    }
}

#[tokio::test]
async fn a_write_whose_session_the_server_ends_may_be_sent_again() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let body = json!({"name": "Garden"});
    let asked = person.post("/v1/workspaces", body.clone());
    let reply = trellis.with_its_session_ended("workspaces", asked).await;
    reply.refused(503, "unavailable");
    assert_eq!(reply.header("retry-after"), "1");
    person.post("/v1/workspaces", body).await.ok();
}
