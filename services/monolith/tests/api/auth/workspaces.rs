//! `Workspaces.CreateWorkspace` and `Workspaces.ListWorkspaces`.

use serde_json::json;

use crate::harness::Trellis;

#[tokio::test]
async fn a_new_workspace_is_its_makers_alone() {
    let trellis = Trellis::start().await;
    let (ada, bob) = (trellis.person().await, trellis.person().await);
    let attic = ada.post("/v1/workspaces", json!({"name": "Attic"})).await.ok();
    assert_eq!(attic["name"], "Attic");
    assert_eq!(ada.get("/v1/workspaces").await.ok()["workspaces"][1], attic);
    assert_eq!(bob.get("/v1/workspaces").await.ok()["workspaces"].as_array().unwrap().len(), 1);
}
