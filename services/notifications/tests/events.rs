//! From another capability's outbox to a mail: relay, broker, consumer, worker, mail server.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use ficus_events::{NewEvent, Relay};
use ficus_pg::Pool;
use ficus_process::Shutdown;
use prost::Message;
use support::{MailServer, Service, monolith_database};
use trellis_contracts::events::v1::{CommentCreated, TaskAssigned, UserSignedUp};
use trellis_testkit::{kafka, unique, wait_until};

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn what_others_tell_becomes_notifications_and_mails() {
    let server = MailServer::start().await;
    let service = Service::start(&server.smtp()).await;
    seed(&service).await;
    service.own().await;

    let monolith = monolith_database().await;
    let pool = monolith.pool().await;
    let shutdown = Shutdown::new();
    let mut relays = Vec::new();
    for capability in ["auth", "core"] {
        let relay = Relay::new(&pool, kafka(), capability, unique("relay"));
        relays.push(tokio::spawn(relay.run(shutdown.clone())));
    }
    // Of nobody else that shares these topics.
    let user_id = i64::from(u32::from_ne_bytes(ficus_process::random::bytes()));
    tell(&pool, user_id).await;

    wait_until("three mails are to be sent", PATIENCE, async || {
        let sent = "SELECT count(*) FROM deliveries JOIN mails ON mails.id = mail_id
                    WHERE user_id = $1 AND state = 'sent'";
        let sent: i64 =
            sqlx::query_scalar(sent).bind(user_id).fetch_one(&service.pool).await.unwrap();
        sent == 3
    })
    .await;
    let items = "SELECT kind::text, task_id, comment_id FROM inbox_items WHERE user_id = $1 ORDER BY inbox_items.kind";
    let items: Vec<(String, Option<i64>, Option<i64>)> =
        sqlx::query_as(items).bind(user_id).fetch_all(&service.pool).await.unwrap();
    assert_eq!(
        items,
        [
            ("welcome".to_owned(), None, None),
            ("assignment".to_owned(), Some(3), None),
            ("mention".to_owned(), Some(3), Some(4)),
        ]
    );
    shutdown.request();
    for relay in relays {
        relay.await.unwrap();
    }
    service.end().await;
}

async fn seed(service: &Service) {
    sqlx::raw_sql(
        "INSERT INTO templates VALUES ('welcome', 's', 'b'), ('assignment', 's', 'b'), ('mention', 's', 'b')",
    )
    .execute(&service.pool)
    .await
    .unwrap();
}

/// Tells of a sign-up, an assignment and a mention, each of the person.
async fn tell(pool: &Pool, user_id: i64) {
    let signed_up = UserSignedUp { user_id, workspace_id: 1 };
    let assigned = TaskAssigned { task_id: 3, workspace_id: 1, actor_id: 2, assignee_id: user_id };
    let mentioned_user_ids = vec![user_id];
    let commented = CommentCreated {
        comment_id: 4,
        task_id: 3,
        workspace_id: 1,
        author_id: 2,
        mentioned_user_ids,
    };
    let events = [
        ("auth", "trellis.events.v1.UserSignedUp", 1, signed_up.encode_to_vec()),
        ("core", "trellis.events.v1.TaskAssigned", 1, assigned.encode_to_vec()),
        ("core", "trellis.events.v1.CommentCreated", 2, commented.encode_to_vec()),
    ];
    let mut tx = ficus_pg::begin(pool, "tell").await.unwrap();
    for (capability, kind, version, payload) in events {
        let topic = format!("trellis.{capability}.v1");
        let key = format!("{capability}-{user_id}");
        let event = NewEvent { capability, topic: &topic, key, version, kind, payload };
        ficus_events::append(&mut tx, &event).await.unwrap();
    }
    tx.commit().await.unwrap();
}
