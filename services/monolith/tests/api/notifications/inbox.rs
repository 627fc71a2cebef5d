//! `Inbox`.

use serde_json::json;

use crate::harness::{Trellis, id};

#[tokio::test]
async fn a_welcome_waits_for_whoever_signs_up() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let list = person.get("/v1/inbox").await.ok();
    let welcome = &list["notifications"][0];
    assert_eq!(
        list,
        json!({
            "notifications": [{
                "id": welcome["id"], "kind": "KIND_WELCOME", "workspace_id": person.workspace_id,
                "actor_id": 0, "task_id": 0, "comment_id": 0, "read": false,
                "created_at": welcome["created_at"]
            }],
            "next_page_token": ""
        })
    );
    assert_eq!(person.get("/v1/inbox/unread-count").await.ok(), json!({"unread": 1}));
}

#[tokio::test]
async fn a_mention_tells_members_and_not_the_author_or_strangers() {
    let trellis = Trellis::start().await;
    let (ada, bob, eve) = (trellis.person().await, trellis.person().await, trellis.person().await);
    ada.invites(&bob).await;
    let task = ada.task(ada.project().await).await;
    let body = format!("@{} @{} @{} @{}", bob.id, ada.id, eve.id, bob.id);
    let comment = ada.post(&format!("/v1/tasks/{task}/comments"), json!({"body": body})).await.ok();
    let list = bob.get("/v1/inbox?unread_only=true").await.ok();
    let mention = &list["notifications"][0];
    assert_eq!(mention["kind"], "KIND_MENTION");
    assert_eq!(mention["comment_id"], comment["id"]);
    assert_eq!((&mention["task_id"], &mention["actor_id"]), (&json!(task), &json!(ada.id)));
    assert_eq!(bob.get("/v1/inbox/unread-count").await.ok()["unread"], 2);
    assert_eq!(ada.get("/v1/inbox/unread-count").await.ok()["unread"], 1);
    assert_eq!(eve.get("/v1/inbox/unread-count").await.ok()["unread"], 1);
}

#[tokio::test]
async fn an_assignee_is_told_once_for_each_assignment_by_others() {
    let trellis = Trellis::start().await;
    let (ada, bob) = (trellis.person().await, trellis.person().await);
    ada.invites(&bob).await;
    let path = format!("/v1/tasks/{}", ada.task(ada.project().await).await);
    for change in [
        json!({"assignee_id": bob.id}),
        json!({"assignee_id": bob.id}),
        json!({"title": "Attic"}),
        json!({"assignee_id": ada.id}),
    ] {
        ada.patch(&path, change).await.ok();
    }
    let list = bob.get("/v1/inbox").await.ok();
    assert_eq!(list["notifications"].as_array().unwrap().len(), 2);
    assert_eq!(list["notifications"][0]["kind"], "KIND_ASSIGNMENT");
    assert_eq!(ada.get("/v1/inbox/unread-count").await.ok()["unread"], 1);
}

#[tokio::test]
async fn reading_is_marked_once_and_only_by_whose_it_is() {
    let trellis = Trellis::start().await;
    let (ada, bob) = (trellis.person().await, trellis.person().await);
    let welcome = id(&ada.get("/v1/inbox").await.ok()["notifications"][0]);
    let path = format!("/v1/inbox/{welcome}/read");
    bob.post(&path, json!({})).await.refused(404, "not_found");
    let read = ada.post(&path, json!({})).await.ok();
    assert_eq!(read["read"], true);
    assert_eq!(ada.post(&path, json!({})).await.ok(), read);
    assert_eq!(ada.get("/v1/inbox?unread_only=true").await.ok()["notifications"], json!([]));
    assert_eq!(ada.post("/v1/inbox/read-all", json!({})).await.ok(), json!({"marked": 0}));
    assert_eq!(bob.post("/v1/inbox/read-all", json!({})).await.ok(), json!({"marked": 1}));
}
