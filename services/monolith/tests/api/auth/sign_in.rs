//! `Sessions.SignIn` and `Sessions.SignOut`.

use serde_json::json;

use crate::harness::{PASSWORD, Trellis};

#[tokio::test]
async fn a_person_signs_in_with_their_password() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let body = json!({"email": "Person-0@example.org", "password": PASSWORD});
    let answer = trellis.post("/v1/sign-in", body).await.ok();
    assert_eq!(answer["user_id"], person.id);
    assert_ne!(answer["token"], person.token);
}

#[tokio::test]
async fn a_wrong_address_and_a_wrong_password_are_refused_alike() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let wrong = json!({"email": person.email, "password": "wrong"});
    let nobody = json!({"email": "nobody@example.org", "password": PASSWORD});
    let wrong = trellis.post("/v1/sign-in", wrong).await;
    let nobody = trellis.post("/v1/sign-in", nobody).await;
    wrong.refused(401, "bad_credentials");
    assert_eq!(wrong.body, nobody.body);
}

#[tokio::test]
async fn a_session_ends_by_signing_out_and_others_stay() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let body = json!({"email": person.email, "password": PASSWORD});
    let second = trellis.post("/v1/sign-in", body).await.ok();
    assert_eq!(person.post("/v1/sign-out", json!({})).await.ok(), json!({}));
    person.get("/v1/workspaces").await.refused(401, "unauthenticated");
    let bearer = format!("Bearer {}", second["token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    trellis.send("GET", "/v1/workspaces", &headers, String::new()).await.ok();
}
