//! Mail that leaves inline.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::Trellis;

#[tokio::test]
async fn the_mail_has_left_when_the_answer_comes() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let mails = trellis.mail.mails_to(&person.email);
    assert_eq!(mails.len(), 1);
    assert_eq!(mails[0]["subject"], "Welcome to Trellis");
    assert_eq!(mails[0]["message_id"], "<mail-1@trellis.local>");
}

#[tokio::test]
async fn everybody_whom_a_comment_mentions_gets_a_mail() {
    let trellis = Trellis::start().await;
    let (ada, bob, eve) = (trellis.person().await, trellis.person().await, trellis.person().await);
    ada.invites(&bob).await;
    ada.invites(&eve).await;
    let task = ada.task(ada.project().await).await;
    let body = json!({"body": format!("@{} @{}", bob.id, eve.id)});
    ada.post(&format!("/v1/tasks/{task}/comments"), body).await.ok();
    assert_eq!(trellis.mail.mails_to(&bob.email).len(), 2);
    assert_eq!(trellis.mail.mails_to(&eve.email).len(), 2);
    assert_eq!(trellis.mail.mails_to(&ada.email).len(), 1);
}

#[tokio::test]
async fn a_sign_up_waits_for_a_slow_mail_server_for_5_s_only() {
    let trellis = Trellis::start().await;
    trellis.mail.takes(Duration::from_hours(1)).await;
    let begun = Instant::now();
    let person = trellis.person().await;
    let took = begun.elapsed();
    assert!((Duration::from_secs(5)..Duration::from_secs(9)).contains(&took), "{took:?}");
    let list = person.get("/v1/deliveries").await.ok();
    assert_ne!(list["deliveries"][0]["last_error"], "", "{list}");
}

#[tokio::test]
async fn a_sign_up_outlives_a_dead_mail_server_and_the_mail_is_tried_again() {
    let trellis = Trellis::start().await;
    trellis.mail.stop();
    let person = trellis.person().await;
    let list = person.get("/v1/deliveries").await.ok();
    let mail = &list["deliveries"][0];
    assert_eq!(mail["state"], "DELIVERY_STATE_QUEUED", "{mail}");
    assert_eq!(mail["attempts"], 1);
    assert_ne!(mail["last_error"], "");
    trellis_testkit::wait_until("a second attempt", Duration::from_secs(30), async || {
        person.get("/v1/deliveries").await.ok()["deliveries"][0]["attempts"] == 2
    })
    .await;
}
