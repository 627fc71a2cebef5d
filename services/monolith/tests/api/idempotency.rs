//! A write that was answered is not done again.

use serde_json::json;

use crate::harness::{PASSWORD, Trellis};

#[tokio::test]
async fn the_same_key_and_request_get_the_first_answer() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let first = person.post_once("key", "/v1/workspaces", json!({"name": "Attic"})).await;
    let again = person.post_once("key", "/v1/workspaces", json!({"name": "Attic"})).await;
    assert_eq!(first.ok(), again.ok());
    assert_eq!(first.body, again.body);
    assert_eq!(first.header("idempotent-replayed"), "");
    assert_eq!(again.header("idempotent-replayed"), "true");
    let list = person.get("/v1/workspaces").await.ok();
    assert_eq!(list["workspaces"].as_array().unwrap().len(), 2, "{list}");
}

#[tokio::test]
async fn the_same_key_with_another_request_is_refused() {
    let trellis = Trellis::start().await;
    let (ada, bob) = (trellis.person().await, trellis.person().await);
    ada.post_once("key", "/v1/workspaces", json!({"name": "Attic"})).await.ok();
    let other = ada.post_once("key", "/v1/workspaces", json!({"name": "Cellar"})).await;
    other.refused(422, "idempotency_key_reused");
    bob.post_once("key", "/v1/workspaces", json!({"name": "Cellar"})).await.ok();
}

#[tokio::test]
async fn a_refused_write_leaves_its_key_free() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let path = format!("/v1/workspaces/{}/members", person.workspace_id);
    let body = json!({"email": "later@example.org"});
    person.post_once("key", &path, body.clone()).await.refused(422, "unknown_person");
    let later = json!({"email": "later@example.org", "name": "Later", "password": PASSWORD});
    trellis.post("/v1/sign-up", later).await.ok();
    person.post_once("key", &path, body).await.ok();
}

#[tokio::test]
async fn twenty_at_once_are_one_write() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let body = json!({"name": "Attic"});
    let attempts = (0..20).map(|_| person.post_once("key", "/v1/workspaces", body.clone()));
    let replies = futures::future::join_all(attempts).await;
    let first = replies[0].ok();
    assert!(replies.iter().all(|reply| reply.ok() == first));
    let replayed = replies.iter().filter(|reply| reply.header("idempotent-replayed") == "true");
    assert_eq!(replayed.count(), 19);
}

#[tokio::test]
async fn a_key_has_at_most_255_characters() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let reply =
        person.post_once(&"k".repeat(256), "/v1/workspaces", json!({"name": "Attic"})).await;
    reply.refused(400, "idempotency_key_too_long");
}

#[tokio::test]
async fn a_repeated_sign_up_gives_the_same_session_and_stores_no_secret() {
    let trellis = Trellis::start().await;
    let sign_up = async |password: &str| {
        let body = json!({"email": "ada@example.org", "name": "Ada", "password": password});
        trellis.send("POST", "/v1/sign-up", &[("idempotency-key", "key")], body.to_string()).await
    };
    let first = sign_up(PASSWORD).await;
    let again = sign_up(PASSWORD).await;
    assert_eq!(first.ok(), again.ok());
    assert_eq!(again.header("idempotent-replayed"), "true");
    sign_up("another password entirely").await.refused(422, "idempotency_key_reused");

    let token = first.ok()["token"].as_str().unwrap().to_owned();
    let kept: Vec<u8> = sqlx::query_scalar("SELECT answer FROM auth_idempotency")
        .fetch_one(&trellis.pool)
        .await
        .unwrap();
    assert!(!String::from_utf8(kept).unwrap().contains(&token));
}
