//! The same request to the monolith and to this service gives the same answer, for every endpoint.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use ficus_rpc::{Error, json};
use prost_reflect::ReflectMessage;
use support::{Answer, Monolith, Service, carry};
use tonic::{Response, Status};
use trellis_contracts::notifications::v1::deliveries_client::DeliveriesClient;
use trellis_contracts::notifications::v1::inbox_client::InboxClient;
use trellis_contracts::notifications::v1::preferences_client::PreferencesClient;
use trellis_contracts::notifications::v1::{
    CountUnreadRequest, GetPreferencesRequest, Kind, ListDeliveriesRequest,
    ListNotificationsRequest, MarkAllReadRequest, MarkReadRequest, Preference,
    UpdatePreferencesRequest,
};

/// What the gateway makes of the service's answer.
fn told<M: ReflectMessage>(answer: Result<Response<M>, Status>) -> Answer {
    match answer {
        Ok(response) => Answer {
            status: 200,
            replayed: response.metadata().contains_key("idempotent-replayed"),
            body: String::from_utf8(json::encode(response.get_ref())).unwrap(),
        },
        Err(status) => {
            let (status, _, body) = Error::from_status(&status).problem();
            let body = String::from_utf8(body.to_vec()).unwrap();
            Answer { status: status.as_u16(), replayed: false, body }
        }
    }
}

async fn both() -> (Monolith, Service) {
    let monolith = Monolith::start().await;
    let service = Service::start("127.0.0.1:9").await;
    monolith.sign_up().await;
    sqlx::raw_sql(include_str!("parity_rows.sql")).execute(&monolith.pool).await.unwrap();
    carry(&monolith.pool, &service.pool).await;
    (monolith, service)
}

#[tokio::test]
async fn lists_are_the_same() {
    let (monolith, service) = both().await;
    let mut inbox = InboxClient::new(service.channel.clone());
    let mut deliveries = DeliveriesClient::new(service.channel.clone());
    for (size, token, unread) in
        [(0, "", false), (2, "", false), (2, "NQ", true), (-1, "", false), (1000, "%", false)]
    {
        let page_token = token.replace('%', "%25");
        let path =
            format!("/v1/inbox?page_size={size}&page_token={page_token}&unread_only={unread}");
        let message = ListNotificationsRequest {
            page_size: size,
            page_token: token.to_owned(),
            unread_only: unread,
        };
        let answer = told(inbox.list_notifications(service.by(1, message)).await);
        assert_eq!(monolith.get(&path).await, answer, "{path}");

        let path = format!("/v1/deliveries?page_size={size}&page_token={page_token}");
        let message = ListDeliveriesRequest { page_size: size, page_token: token.to_owned() };
        let answer = told(deliveries.list_deliveries(service.by(1, message)).await);
        assert_eq!(monolith.get(&path).await, answer, "{path}");
    }
    service.end().await;
}

#[tokio::test]
async fn marking_is_the_same() {
    let (monolith, service) = both().await;
    let mut inbox = InboxClient::new(service.channel.clone());
    for (id, key) in [(5, ""), (5, ""), (3, "one"), (3, "one"), (4, "one"), (999, "two"), (-1, "")]
    {
        let path = format!("/v1/inbox/{id}/read");
        let message = MarkReadRequest { notification_id: id };
        let answer = told(inbox.mark_read(service.keyed(1, key, message)).await);
        assert_eq!(monolith.write("POST", &path, key, "{}").await, answer, "{path} {key}");
        let count = told(inbox.count_unread(service.by(1, CountUnreadRequest {})).await);
        assert_eq!(monolith.get("/v1/inbox/unread-count").await, count);
    }
    let long = "k".repeat(256);
    for key in ["all", "all", "", &long] {
        let answer = told(inbox.mark_all_read(service.keyed(1, key, MarkAllReadRequest {})).await);
        assert_eq!(monolith.write("POST", "/v1/inbox/read-all", key, "").await, answer, "{key}");
    }
    service.end().await;
}

#[tokio::test]
async fn preferences_are_the_same() {
    let (monolith, service) = both().await;
    let mut preferences = PreferencesClient::new(service.channel.clone());
    let path = "/v1/notification-preferences";
    let quiet = |kind: Kind| Preference { kind: kind.into(), in_app: false, email: true };
    let (mention, welcome) = (quiet(Kind::Mention), quiet(Kind::Welcome));
    for (key, changes) in [
        ("", vec![mention]),
        ("k", vec![welcome, quiet(Kind::Assignment)]),
        ("k", vec![welcome, quiet(Kind::Assignment)]),
        ("k", vec![welcome]),
        ("", vec![]),
        ("", vec![mention, mention]),
        ("", vec![Preference::default()]),
    ] {
        let message = UpdatePreferencesRequest { preferences: changes };
        let body = String::from_utf8(json::encode(&message)).unwrap();
        let answer = told(preferences.update_preferences(service.keyed(1, key, message)).await);
        assert_eq!(monolith.write("PUT", path, key, &body).await, answer, "{body}");
        let get = preferences.get_preferences(service.by(1, GetPreferencesRequest {})).await;
        assert_eq!(monolith.get(path).await, told(get));
    }
    service.end().await;
}

#[tokio::test]
async fn an_answer_stored_by_the_monolith_is_replayed_by_the_service() {
    let (monolith, service) = (Monolith::start().await, Service::start("127.0.0.1:9").await);
    monolith.sign_up().await;
    sqlx::raw_sql(include_str!("parity_rows.sql")).execute(&monolith.pool).await.unwrap();
    let first = monolith.write("POST", "/v1/inbox/5/read", "k", "{}").await;
    carry(&monolith.pool, &service.pool).await;

    let mut inbox = InboxClient::new(service.channel.clone());
    let message = MarkReadRequest { notification_id: 5 };
    let again = told(inbox.mark_read(service.keyed(1, "k", message)).await);
    assert_eq!(again, Answer { replayed: true, ..first });
    service.end().await;
}
