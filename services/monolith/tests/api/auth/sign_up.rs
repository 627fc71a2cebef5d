//! `Accounts.SignUp`.

use serde_json::json;

use crate::harness::{PASSWORD, Trellis};

#[tokio::test]
async fn a_person_gets_a_workspace_of_their_own() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let path = format!("/v1/workspaces/{}/members", person.workspace_id);
    let members = person.get(&path).await.ok();
    assert_eq!(
        members,
        json!({
            "members": [{"user_id": person.id, "name": "Person 0", "role": "owner"}],
            "next_page_token": ""
        })
    );
    let workspaces = person.get("/v1/workspaces").await.ok();
    assert_eq!(workspaces["workspaces"][0]["name"], "Person 0's workspace");
}

#[tokio::test]
async fn an_address_signs_up_once_however_it_is_written() {
    let trellis = Trellis::start().await;
    trellis.person().await;
    let body = json!({"email": " PERSON-0@example.org", "name": "Other", "password": PASSWORD});
    trellis.post("/v1/sign-up", body).await.refused(409, "email_taken");
}

#[tokio::test]
async fn what_cannot_be_a_person_is_refused() {
    let trellis = Trellis::start().await;
    for (email, name, password, code) in [
        ("ada", "Ada", PASSWORD, "bad_email"),
        ("ada@example.org", " ", PASSWORD, "bad_name"),
        ("ada@example.org", "Ada", "fourteen chars", "password_too_short"),
    ] {
        let body = json!({"email": email, "name": name, "password": password});
        trellis.post("/v1/sign-up", body).await.refused(422, code);
    }
}
