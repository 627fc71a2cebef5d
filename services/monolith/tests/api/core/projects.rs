//! `Projects`.

use serde_json::json;

use crate::harness::Trellis;

#[tokio::test]
async fn projects_are_listed_oldest_first() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let path = format!("/v1/workspaces/{}/projects", person.workspace_id);
    assert_eq!(person.get(&path).await.ok(), json!({"projects": [], "next_page_token": ""}));
    let house = person.post(&path, json!({"name": "House"})).await.ok();
    assert_eq!(house["workspace_id"], person.workspace_id);
    let garden = person.post(&path, json!({"name": "Garden"})).await.ok();
    assert_eq!(person.get(&path).await.ok()["projects"], json!([house, garden]));
}

#[tokio::test]
async fn others_workspaces_are_not_found() {
    let trellis = Trellis::start().await;
    let (ada, bob) = (trellis.person().await, trellis.person().await);
    let path = format!("/v1/workspaces/{}/projects", ada.workspace_id);
    bob.get(&path).await.refused(404, "not_found");
    bob.post(&path, json!({"name": "House"})).await.refused(404, "not_found");
    bob.post(&path, json!({"name": ""})).await.refused(422, "bad_title");
}
