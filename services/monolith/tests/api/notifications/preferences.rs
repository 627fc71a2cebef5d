//! `Preferences`.

use serde_json::json;

use crate::harness::Trellis;

#[tokio::test]
async fn what_was_never_set_stands_at_its_default() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let all = |mention_in_app: bool, version: i64| {
        json!({
            "preferences": [
                {"kind": "KIND_WELCOME", "in_app": true, "email": true},
                {"kind": "KIND_ASSIGNMENT", "in_app": true, "email": true},
                {"kind": "KIND_MENTION", "in_app": mention_in_app, "email": true}
            ],
            "version": version
        })
    };
    let path = "/v1/notification-preferences";
    assert_eq!(person.get(path).await.ok(), all(true, 0));
    let quiet = json!({"preferences": [{"kind": "KIND_MENTION", "in_app": false, "email": true}]});
    assert_eq!(person.put(path, quiet.clone()).await.ok(), all(false, 1));
    assert_eq!(person.put(path, quiet).await.ok(), all(false, 2));
    assert_eq!(person.get(path).await.ok(), all(false, 2));
}

#[tokio::test]
async fn a_kind_is_named_and_named_once() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let path = "/v1/notification-preferences";
    for preferences in [
        json!([{"in_app": true}]),
        json!([{"kind": "KIND_MENTION"}, {"kind": "KIND_MENTION", "email": true}]),
        json!([{"kind": "KIND_REMINDER"}]),
    ] {
        let body = json!({"preferences": preferences});
        person.put(path, body).await.refused(400, "bad_request");
    }
}

#[tokio::test]
async fn who_wants_no_word_gets_none() {
    let trellis = Trellis::start().await;
    let (ada, bob) = (trellis.person().await, trellis.person().await);
    ada.invites(&bob).await;
    let silence = json!({"preferences": [{"kind": "KIND_MENTION"}]});
    bob.put("/v1/notification-preferences", silence).await.ok();
    let task = ada.task(ada.project().await).await;
    let body = json!({"body": format!("@{}", bob.id)});
    ada.post(&format!("/v1/tasks/{task}/comments"), body).await.ok();
    assert_eq!(bob.get("/v1/inbox/unread-count").await.ok()["unread"], 1);
    let deliveries = bob.get("/v1/deliveries").await.ok();
    assert_eq!(deliveries["deliveries"].as_array().unwrap().len(), 1, "{deliveries}");
}
