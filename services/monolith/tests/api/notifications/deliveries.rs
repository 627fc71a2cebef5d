//! `Deliveries`.

use serde_json::json;

use crate::harness::Trellis;

#[tokio::test]
async fn the_log_says_what_became_of_each_mail() {
    let trellis = Trellis::start().await;
    let person = trellis.person().await;
    let list = person.get("/v1/deliveries").await.ok();
    let mail = &list["deliveries"][0];
    assert_eq!(
        list,
        json!({
            "deliveries": [{
                "id": mail["id"], "kind": "KIND_WELCOME", "state": "DELIVERY_STATE_SENT",
                "attempts": 1, "last_error": "", "created_at": mail["created_at"],
                "sent_at": mail["sent_at"]
            }],
            "next_page_token": ""
        })
    );
    assert!(mail["sent_at"].is_string());
}
