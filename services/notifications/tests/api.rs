//! Every RPC, asked of the running service.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use ficus_rpc::{Error, Kind as ErrorKind, json};
use serde_json::{Value, json};
use support::Service;
use tonic::Request;
use trellis_contracts::notifications::v1::deliveries_client::DeliveriesClient;
use trellis_contracts::notifications::v1::inbox_client::InboxClient;
use trellis_contracts::notifications::v1::preferences_client::PreferencesClient;
use trellis_contracts::notifications::v1::{
    CountUnreadRequest, GetPreferencesRequest, Kind, ListDeliveriesRequest,
    ListNotificationsRequest, MarkAllReadRequest, MarkReadRequest, Preference,
    UpdatePreferencesRequest,
};

/// Nobody listens there.
const NO_SMTP: &str = "127.0.0.1:9";

async fn seeded() -> Service {
    let service = Service::start(NO_SMTP).await;
    sqlx::raw_sql(
        "INSERT INTO inbox_items (id, user_id, kind, workspace_id, actor_id, task_id, comment_id, read_at, created_at)
         VALUES (1, 7, 'welcome', 1, NULL, NULL, NULL, '2026-01-02', '2026-01-01T00:00:00.123456Z'),
                (2, 7, 'assignment', 1, 8, 3, NULL, NULL, '2026-01-02T00:00:00Z'),
                (3, 7, 'mention', 1, 8, 3, 4, NULL, '2026-01-03T00:00:00Z'),
                (4, 8, 'mention', 1, 7, 3, 5, NULL, '2026-01-04T00:00:00Z');
         INSERT INTO templates VALUES ('welcome', 's', 'b'), ('mention', 's', 'b');
         INSERT INTO mails (id, user_id, template, cause, created_at)
         VALUES (1, 7, 'welcome', 'sign-up', '2026-01-01T00:00:00Z'), (2, 7, 'mention', 'comment-4', '2026-01-03T00:00:00Z');
         INSERT INTO deliveries (mail_id, state, attempts, last_error, sent_at)
         VALUES (1, 'sent', 1, NULL, '2026-01-01T00:00:01Z'), (2, 'failed', 5, 'mailbox full', NULL);",
    )
    .execute(&service.pool)
    .await
    .unwrap();
    service
}

#[tokio::test]
async fn the_inbox_is_listed_newest_first_and_page_by_page() {
    let service = seeded().await;
    let mut inbox = InboxClient::new(service.channel.clone());
    let first = ListNotificationsRequest { page_size: 2, ..Default::default() };
    let page = inbox.list_notifications(service.by(7, first)).await.unwrap().into_inner();
    let shown: Value = serde_json::from_slice(&json::encode(&page)).unwrap();
    assert_eq!(
        shown["notifications"],
        json!([
            {"id": 3, "kind": "KIND_MENTION", "workspace_id": 1, "actor_id": 8, "task_id": 3,
             "comment_id": 4, "read": false, "created_at": "2026-01-03T00:00:00Z"},
            {"id": 2, "kind": "KIND_ASSIGNMENT", "workspace_id": 1, "actor_id": 8, "task_id": 3,
             "comment_id": 0, "read": false, "created_at": "2026-01-02T00:00:00Z"},
        ])
    );
    let next = ListNotificationsRequest { page_token: page.next_page_token, ..Default::default() };
    let page = inbox.list_notifications(service.by(7, next)).await.unwrap().into_inner();
    assert_eq!(page.notifications.iter().map(|n| n.id).collect::<Vec<_>>(), [1]);
    assert_eq!(page.next_page_token, "");
    assert_eq!(page.notifications[0].created_at.unwrap().nanos, 123_456_000);

    let unread = ListNotificationsRequest { unread_only: true, ..Default::default() };
    let page = inbox.list_notifications(service.by(7, unread)).await.unwrap().into_inner();
    assert_eq!(page.notifications.iter().map(|n| n.id).collect::<Vec<_>>(), [3, 2]);
    service.end().await;
}

#[tokio::test]
async fn one_is_marked_and_then_all() {
    let service = seeded().await;
    let mut inbox = InboxClient::new(service.channel.clone());
    for _ in 0..2 {
        let request = service.by(7, MarkReadRequest { notification_id: 2 });
        assert!(inbox.mark_read(request).await.unwrap().into_inner().read);
    }
    let count = inbox.count_unread(service.by(7, CountUnreadRequest {})).await.unwrap();
    assert_eq!(count.into_inner().unread, 1);

    let others = inbox.mark_read(service.by(7, MarkReadRequest { notification_id: 4 })).await;
    assert_eq!(Error::from_status(&others.unwrap_err()).code, "not_found");

    let all = inbox.mark_all_read(service.by(7, MarkAllReadRequest {})).await.unwrap();
    assert_eq!(all.into_inner().marked, 1);
    let count = inbox.count_unread(service.by(8, CountUnreadRequest {})).await.unwrap();
    assert_eq!(count.into_inner().unread, 1, "another's stay as they are");
    service.end().await;
}

#[tokio::test]
async fn preferences_keep_what_is_not_named_and_are_told() {
    let service = seeded().await;
    let mut preferences = PreferencesClient::new(service.channel.clone());
    let set = preferences.get_preferences(service.by(7, GetPreferencesRequest {})).await.unwrap();
    let set = set.into_inner();
    assert_eq!((set.version, set.preferences.len()), (0, 3));
    assert!(set.preferences.iter().all(|p| p.in_app && p.email));

    for kind in [Kind::Mention, Kind::Assignment] {
        let change = Preference { kind: kind.into(), in_app: true, email: false };
        let request = UpdatePreferencesRequest { preferences: vec![change] };
        preferences.update_preferences(service.by(7, request)).await.unwrap();
    }
    let set = preferences.get_preferences(service.by(7, GetPreferencesRequest {})).await.unwrap();
    let set = set.into_inner();
    let emails: Vec<bool> = set.preferences.iter().map(|p| p.email).collect();
    assert_eq!((set.version, emails), (2, vec![true, false, false]));

    let told: Vec<(String, i64)> =
        sqlx::query_as("SELECT key, version FROM ficus.outbox ORDER BY id")
            .fetch_all(&service.pool)
            .await
            .unwrap();
    assert_eq!(told, [("preferences-7".to_owned(), 1), ("preferences-7".to_owned(), 2)]);
    service.end().await;
}

#[tokio::test]
async fn a_preference_without_a_kind_or_twice_is_refused() {
    let service = seeded().await;
    let mut preferences = PreferencesClient::new(service.channel.clone());
    let mention = Preference { kind: Kind::Mention.into(), in_app: true, email: true };
    for wrong in [vec![Preference::default()], vec![mention, mention]] {
        let request = UpdatePreferencesRequest { preferences: wrong };
        let refused = preferences.update_preferences(service.by(7, request)).await.unwrap_err();
        assert_eq!(Error::from_status(&refused).code, "bad_request");
    }
    service.end().await;
}

#[tokio::test]
async fn the_delivery_log_says_what_became_of_each_mail() {
    let service = seeded().await;
    let mut deliveries = DeliveriesClient::new(service.channel.clone());
    let request = service.by(7, ListDeliveriesRequest::default());
    let log = deliveries.list_deliveries(request).await.unwrap().into_inner();
    let shown: Value = serde_json::from_slice(&json::encode(&log)).unwrap();
    assert_eq!(
        shown,
        json!({"deliveries": [
            {"id": 2, "kind": "KIND_MENTION", "state": "DELIVERY_STATE_FAILED", "attempts": 5,
             "last_error": "mailbox full", "created_at": "2026-01-03T00:00:00Z"},
            {"id": 1, "kind": "KIND_WELCOME", "state": "DELIVERY_STATE_SENT", "attempts": 1,
             "last_error": "", "created_at": "2026-01-01T00:00:00Z", "sent_at": "2026-01-01T00:00:01Z"},
        ], "next_page_token": ""})
    );
    service.end().await;
}

#[tokio::test]
async fn a_write_under_the_same_key_is_answered_from_store() {
    let service = seeded().await;
    let mut inbox = InboxClient::new(service.channel.clone());
    let first = inbox.mark_all_read(service.keyed(7, "k", MarkAllReadRequest {})).await.unwrap();
    assert!(first.metadata().get("idempotent-replayed").is_none());
    assert_eq!(first.into_inner().marked, 2);
    let again = inbox.mark_all_read(service.keyed(7, "k", MarkAllReadRequest {})).await.unwrap();
    assert_eq!(again.metadata().get("idempotent-replayed").unwrap(), "true");
    assert_eq!(again.into_inner().marked, 2);

    let other = service.keyed(7, "k", MarkReadRequest { notification_id: 1 });
    let reused = Error::from_status(&inbox.mark_read(other).await.unwrap_err());
    assert_eq!((reused.kind, &*reused.code), (ErrorKind::Unprocessable, "idempotency_key_reused"));
    let elses = service.keyed(8, "k", MarkAllReadRequest {});
    assert_eq!(inbox.mark_all_read(elses).await.unwrap().into_inner().marked, 1);
    service.end().await;
}

#[tokio::test]
async fn callers_that_the_gateway_did_not_sign_for_are_refused() {
    let service = seeded().await;
    let mut inbox = InboxClient::new(service.channel.clone());
    let mut forged = Request::new(CountUnreadRequest {});
    forged.metadata_mut().insert("authorization", "Bearer e30.e30.e30".parse().unwrap());
    for request in [Request::new(CountUnreadRequest {}), forged] {
        let refused = inbox.count_unread(request).await.unwrap_err();
        assert_eq!(Error::from_status(&refused), Error::unauthenticated());
    }
    service.end().await;
}

#[tokio::test]
async fn a_shut_fence_is_named_so_that_the_gateway_can_repeat() {
    let service = seeded().await;
    sqlx::raw_sql(
        "CREATE FUNCTION shut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             RAISE EXCEPTION 'fenced' USING ERRCODE = 'ZF001', DETAIL = 'capability=notifications epoch=3';
         END $$;
         CREATE TRIGGER shut BEFORE INSERT OR UPDATE ON inbox_items FOR EACH STATEMENT EXECUTE FUNCTION shut();",
    )
    .execute(&service.pool)
    .await
    .unwrap();
    let mut inbox = InboxClient::new(service.channel.clone());
    for id in [2, 99] {
        let request = service.by(7, MarkReadRequest { notification_id: id });
        let refused = inbox.mark_read(request).await.unwrap_err();
        assert_eq!(refused.metadata().get("ficus-fenced").unwrap(), "notifications 3");
    }
    service.end().await;
}
