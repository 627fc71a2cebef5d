//! `Tasks`.

use serde_json::json;

use crate::harness::{Trellis, id};

#[tokio::test]
async fn a_new_task_is_open_and_nobodys() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let project = person.project().await;
    let path = format!("/v1/projects/{project}/tasks");
    let mut task = person.post(&path, json!({"title": "Roof"})).await.ok();
    let read = person.get(&format!("/v1/tasks/{}", id(&task))).await.ok();
    assert_eq!(read, task);
    assert!(task["created_at"].as_str().unwrap().ends_with('Z'));
    task.as_object_mut().unwrap().remove("created_at");
    assert_eq!(
        task,
        json!({
            "id": task["id"], "project_id": project, "title": "Roof", "state": "TASK_STATE_OPEN",
            "assignee_id": 0, "version": 1
        })
    );
}

#[tokio::test]
async fn an_update_changes_only_what_is_present() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let task = person.task(person.project().await).await;
    let path = format!("/v1/tasks/{task}");
    let change = json!({"state": "TASK_STATE_DOING", "assignee_id": person.id});
    let changed = person.patch(&path, change).await.ok();
    assert_eq!(changed["title"], "Roof");
    assert_eq!(changed["state"], "TASK_STATE_DOING");
    assert_eq!(changed["version"], 2);
    assert_eq!(person.patch(&path, json!({})).await.ok(), changed);
    let freed = person.patch(&path, json!({"assignee_id": 0, "title": "Attic"})).await.ok();
    assert_eq!((&freed["assignee_id"], &freed["title"]), (&json!(0), &json!("Attic")));
    assert_eq!(person.get(&path).await.ok(), freed);
}

#[tokio::test]
async fn what_a_task_cannot_be_is_refused() {
    let trellis = Trellis::start().await;
    let (ada, bob) = (trellis.person().await, trellis.person().await);
    let project = ada.project().await;
    let path = format!("/v1/tasks/{}", ada.task(project).await);
    ada.patch(&path, json!({"state": "TASK_STATE_UNSPECIFIED"})).await.refused(400, "bad_request");
    ada.patch(&path, json!({"title": " "})).await.refused(422, "bad_title");
    let stranger = json!({"title": "Roof", "assignee_id": bob.id});
    let reply = ada.post(&format!("/v1/projects/{project}/tasks"), stranger.clone()).await;
    reply.refused(422, "assignee_not_a_member");
    ada.patch(&path, stranger).await.refused(422, "assignee_not_a_member");
}

#[tokio::test]
async fn others_tasks_are_not_found() {
    let trellis = Trellis::start().await;
    let (ada, bob) = (trellis.person().await, trellis.person().await);
    let project = ada.project().await;
    let task = format!("/v1/tasks/{}", ada.task(project).await);
    let tasks = format!("/v1/projects/{project}/tasks");
    bob.get(&task).await.refused(404, "not_found");
    bob.patch(&task, json!({"title": "Mine"})).await.refused(404, "not_found");
    bob.get(&tasks).await.refused(404, "not_found");
    bob.post(&tasks, json!({"title": "Roof"})).await.refused(404, "not_found");
}

#[tokio::test]
async fn tasks_come_newest_first_page_by_page() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let project = person.project().await;
    let mut made = Vec::new();
    for _ in 0..3 {
        made.insert(0, person.task(project).await);
    }
    let path = format!("/v1/projects/{project}/tasks?page_size=2");
    let first = person.get(&path).await.ok();
    let token = first["next_page_token"].as_str().unwrap();
    let last = person.get(&format!("{path}&page_token={token}")).await.ok();
    let listed = first["tasks"].as_array().unwrap().iter().chain(last["tasks"].as_array().unwrap());
    assert_eq!(listed.map(id).collect::<Vec<_>>(), made);
    assert_eq!(last["next_page_token"], "");
}
