//! `Workspaces.AddMember` and `Workspaces.ListMembers`.

use serde_json::json;

use crate::harness::Trellis;

#[tokio::test]
async fn a_member_sees_what_is_in_the_workspace() {
    let trellis = Trellis::start().await;
    let (ada, bob) = (trellis.person().await, trellis.person().await);
    let path = format!("/v1/workspaces/{}/members", ada.workspace_id);
    bob.get(&path).await.refused(404, "not_found");
    let member = ada.post(&path, json!({"email": bob.email})).await.ok();
    assert_eq!(member, json!({"user_id": bob.id, "name": "Person 1", "role": "member"}));
    assert_eq!(bob.get(&path).await.ok()["members"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn one_who_is_a_member_already_stays_what_they_are() {
    let trellis = Trellis::start().await;
    let ada = trellis.person().await;
    let path = format!("/v1/workspaces/{}/members", ada.workspace_id);
    let member = ada.post(&path, json!({"email": ada.email})).await.ok();
    assert_eq!(member["role"], "owner");
}

#[tokio::test]
async fn nobody_is_added_to_others_workspaces() {
    let trellis = Trellis::start().await;
    let (ada, bob) = (trellis.person().await, trellis.person().await);
    let path = format!("/v1/workspaces/{}/members", ada.workspace_id);
    bob.post(&path, json!({"email": bob.email})).await.refused(404, "not_found");
}

#[tokio::test]
async fn members_come_page_by_page() {
    let trellis = Trellis::start().await;
    let ada = trellis.person().await;
    for _ in 0..2 {
        ada.invites(&trellis.person().await).await;
    }
    let path = format!("/v1/workspaces/{}/members?page_size=2", ada.workspace_id);
    let first = ada.get(&path).await.ok();
    assert_eq!(first["members"].as_array().unwrap().len(), 2);
    let token = first["next_page_token"].as_str().unwrap();
    let last = ada.get(&format!("{path}&page_token={token}")).await.ok();
    assert_eq!(last["members"].as_array().unwrap().len(), 1);
    assert_eq!(last["next_page_token"], "");
}
