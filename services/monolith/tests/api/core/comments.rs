//! `Comments`.

use serde_json::json;

use crate::harness::Trellis;

#[tokio::test]
async fn comments_are_listed_oldest_first_and_raise_the_tasks_version() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let task = person.task(person.project().await).await;
    let path = format!("/v1/tasks/{task}/comments");
    let one = person.post(&path, json!({"body": "one"})).await.ok();
    assert_eq!((&one["task_id"], &one["author_id"]), (&json!(task), &json!(person.id)));
    let two = person.post(&path, json!({"body": "two"})).await.ok();
    let list = person.get(&path).await.ok();
    assert_eq!(list, json!({"comments": [one, two], "next_page_token": ""}));
    assert_eq!(person.get(&format!("/v1/tasks/{task}")).await.ok()["version"], 3);
}

#[tokio::test]
async fn others_tasks_cannot_be_commented_on() {
    let trellis = Trellis::start().await;
    let (ada, bob) = (trellis.person().await, trellis.person().await);
    let path = format!("/v1/tasks/{}/comments", ada.task(ada.project().await).await);
    bob.post(&path, json!({"body": "hello"})).await.refused(404, "not_found");
    bob.get(&path).await.refused(404, "not_found");
    ada.post(&path, json!({"body": " "})).await.refused(422, "bad_body");
}
