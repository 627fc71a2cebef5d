//! Mail that is queued: what happened is an event, and its effects come later.

use std::time::{Duration, Instant};

use ficus_events::{Event, Handler};
use ficus_pg::Pool;
use serde_json::json;
use trellis_monolith::modules::notifications::{IN_FLIGHT, Incoming, Store};
use trellis_testkit::{Reluctant, refusing};
use uuid::Uuid;

use crate::harness::{MailServer, Person, Trellis};

const PATIENCE: Duration = Duration::from_secs(15);

#[tokio::test]
async fn a_write_publishes_what_happened_and_tells_nobody_yet() {
    let trellis = Trellis::start_queued().await;
    let (ada, bob) = (trellis.person().await, trellis.person().await);
    ada.invites(&bob).await;
    let project = ada.project().await;
    let assigned = json!({"title": "Roof", "assignee_id": bob.id});
    let task = ada.post(&format!("/v1/projects/{project}/tasks"), assigned).await.ok();
    let task = crate::harness::id(&task);
    let comment = json!({"body": format!("@{}", bob.id)});
    ada.post(&format!("/v1/tasks/{task}/comments"), comment).await.ok();

    let events = outbox(&trellis.pool).await;
    let said: Vec<_> = events.iter().map(|e| (&*e.topic, &*e.key, &*e.kind, e.version)).collect();
    let (user, task) = (|id: i64| format!("user-{id}"), format!("task-{task}"));
    assert_eq!(
        said,
        [
            ("trellis.auth.v1", &*user(ada.id), "trellis.events.v1.UserSignedUp", 1),
            ("trellis.auth.v1", &*user(bob.id), "trellis.events.v1.UserSignedUp", 1),
            ("trellis.core.v1", &*task, "trellis.events.v1.TaskAssigned", 1),
            ("trellis.core.v1", &*task, "trellis.events.v1.CommentCreated", 2),
        ]
    );
    assert_eq!(bob.get("/v1/inbox/unread-count").await.ok()["unread"], 0);
    assert_eq!(bob.get("/v1/deliveries").await.ok()["deliveries"], json!([]));
}

#[tokio::test]
async fn an_applied_event_reaches_the_inbox_and_the_mail_server_once() {
    let trellis = Trellis::start_queued().await;
    let person = trellis.person().await;
    let events = outbox(&trellis.pool).await;
    apply(&trellis.pool, &events).await;
    apply(&trellis.pool, &events).await;
    assert_eq!(person.get("/v1/inbox/unread-count").await.ok()["unread"], 1);
    trellis.mail.has_taken(1, &person.email).await;
    trellis_testkit::wait_until("delivered", Duration::from_secs(30), async || {
        let list = person.get("/v1/deliveries").await.ok();
        list["deliveries"][0]["state"] == "DELIVERY_STATE_SENT"
    })
    .await;
    let events = outbox(&trellis.pool).await;
    let delivered = events.last().unwrap();
    assert_eq!(delivered.kind, "trellis.events.v1.MailDelivered");
    assert_eq!((&*delivered.key, delivered.version), ("mail-1", 3));
}

#[tokio::test]
async fn a_mail_server_that_takes_long_for_a_mail_gets_it_once() {
    let trellis = Trellis::start_queued().await;
    trellis.mail.takes(Duration::from_millis(6_500)).await;
    let person = mailed(&trellis).await;
    is_in(&trellis, "sending").await;
    assert!(is_due_within_4_s(&trellis).await);
    is_in(&trellis, "sent").await;
    // Longer than a claim lasts: what was sent a second time would have been taken by then.
    trellis.mail.takes(Duration::ZERO).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(trellis.mail.mails_to(&person.email).len(), 1);
    assert_eq!(mail(&trellis).await.1, 1);
}

#[tokio::test]
async fn an_end_does_not_wait_for_as_long_as_a_mail_server_may_take() {
    let mut trellis = Trellis::start_queued().await;
    trellis.mail.takes(Duration::from_hours(1)).await;
    for _ in 0..IN_FLIGHT {
        mailed(&trellis).await;
    }
    let claimed = "SELECT count(*) FROM emails WHERE state = 'sending' AND attempts = 1
                      AND next_attempt_at <= now() AT TIME ZONE 'UTC' + interval '4 s'";
    let pool = trellis.pool.clone();
    let claimed = async || sqlx::query_scalar::<_, i64>(claimed).fetch_one(&pool).await;
    trellis_testkit::wait_until("each place is to be taken", PATIENCE, async || {
        claimed().await.unwrap() == i64::from(IN_FLIGHT)
    })
    .await;
    trellis.end().await;
    assert_eq!(claimed().await.unwrap(), i64::from(IN_FLIGHT), "left to whoever comes next");
}

#[tokio::test]
async fn what_a_mail_server_says_too_late_is_not_taken_for_another_answer() {
    let mut server = Reluctant::at(&["RCPT", "."]).await;
    let trellis = Trellis::start_queued_with(&server.address).await;
    mailed(&trellis).await;
    server.is_reached().await;
    trellis_testkit::wait_until("it has been waited for", PATIENCE, async || {
        mail(&trellis).await.2.contains("in time")
    })
    .await;
    // Its answer to the first attempt, which nobody waits for any more; to the second one's mail it has none yet.
    for _ in 0..2 {
        server.may_answer.send(()).await.unwrap();
        server.is_reached().await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(mail(&trellis).await.0, "sending");
    server.may_answer.send(()).await.unwrap();
    is_in(&trellis, "sent").await;
}

#[tokio::test]
async fn a_mail_is_not_given_up_while_the_mail_server_is_away_or_puts_it_off() {
    // Nobody listens on the discard port.
    is_tried_again("127.0.0.1:9", "the mail server answered").await;
    for (greeting, recipient, error) in [
        ("554 not today\r\n", "550 nobody here\r\n", "not today"),
        ("220 ready\r\n", "451 come back later\r\n", "come back later"),
    ] {
        is_tried_again(&refusing(greeting, recipient).await, error).await;
    }
}

#[tokio::test]
async fn a_mail_that_is_refused_is_given_up() {
    let server = refusing("220 ready\r\n", "550 nobody\0 here\r\n").await;
    let trellis = Trellis::start_queued_with(&server).await;
    mailed(&trellis).await;
    is_in(&trellis, "failed").await;
    let (_, attempts, error) = mail(&trellis).await;
    assert_eq!(attempts, 1);
    assert!(error.contains("nobody\u{fffd} here"), "{error}");
    let events = outbox(&trellis.pool).await;
    assert_eq!(events.last().unwrap().kind, "trellis.events.v1.MailBounced");
}

#[tokio::test]
async fn a_mail_that_was_taken_while_the_database_is_away_is_recorded_and_not_sent_again() {
    let mut server = Reluctant::start().await;
    let trellis = Trellis::start_queued_with(&server.address).await;
    mailed(&trellis).await;
    server.is_reached().await;
    trellis.admit(false).await;
    server.may_answer.send(()).await.unwrap();
    // Longer than its claim lasts that nobody renews, and than a process that ends would try.
    tokio::time::sleep(Duration::from_secs(12)).await;
    trellis.admit(true).await;
    let mut repeats = 0;
    trellis_testkit::wait_until("recorded", PATIENCE, async || {
        while server.reached.try_recv().is_ok() {
            repeats += 1;
            server.may_answer.send(()).await.unwrap();
        }
        mail(&trellis).await.0 == "sent"
    })
    .await;
    assert_eq!((mail(&trellis).await.1, repeats), (1, 0));
}

#[tokio::test]
async fn mails_go_on_after_the_databases_host_was_lost_under_a_claim() {
    let trellis = Trellis::start_queued().await;
    trellis.person().await;
    trellis.lose_the_server_under("emails", 1).await;
    apply(&trellis.pool, &outbox(&trellis.pool).await).await;
    let sent = async || mail(&trellis).await.0 == "sent";
    trellis_testkit::wait_until("the mail is to be sent", 2 * PATIENCE, sent).await;
}

#[tokio::test]
async fn a_mail_is_tried_again_although_the_databases_host_was_lost_under_its_look_up() {
    // Nobody listens on the discard port.
    let trellis = Trellis::start_queued_with("127.0.0.1:9").await;
    mailed(&trellis).await;
    trellis.lose_the_server_under("users", 1).await;
    let (_, attempts, _) = mail(&trellis).await;
    trellis_testkit::wait_until("it is to be tried again", 2 * PATIENCE, async || {
        mail(&trellis).await.1 > attempts
    })
    .await;
}

#[tokio::test]
async fn a_claim_is_renewed_although_the_databases_host_was_lost_under_a_renewal() {
    let mut server = Reluctant::start().await;
    let trellis = Trellis::start_queued_with(&server.address).await;
    mailed(&trellis).await;
    server.is_reached().await;
    // The next claim is the other one.
    trellis.lose_the_server_under("emails", 2).await;
    let lost: chrono::NaiveDateTime =
        sqlx::query_scalar("SELECT now() AT TIME ZONE 'UTC' + interval '4 s'")
            .fetch_one(&trellis.pool)
            .await
            .unwrap();
    let renewed = "SELECT next_attempt_at > $1 FROM emails";
    trellis_testkit::wait_until("the claim is to be renewed", PATIENCE, async || {
        sqlx::query_scalar(renewed).bind(lost).fetch_one(&trellis.pool).await.unwrap()
    })
    .await;
    server.may_answer.send(()).await.unwrap();
    is_in(&trellis, "sent").await;
    assert_eq!(mail(&trellis).await.1, 1);
}

#[tokio::test]
async fn a_process_that_stood_still_does_not_take_its_mail_from_itself() {
    let trellis = Trellis::start_queued().await;
    let person = trellis.person().await;
    trellis.mail.takes(Duration::from_secs(2)).await;
    apply(&trellis.pool, &outbox(&trellis.pool).await).await;
    // The claim has run out, as it has when the process goes on after it stood still.
    let patience = Duration::from_secs(15);
    trellis_testkit::wait_until("claimed", patience, async || {
        let run_out = "UPDATE emails SET next_attempt_at = now() AT TIME ZONE 'UTC'
                       WHERE state = 'sending'";
        sqlx::query(run_out).execute(&trellis.pool).await.unwrap().rows_affected() == 1
    })
    .await;
    trellis.mail.has_taken(1, &person.email).await;
    // What was sent a second time would have been taken by then.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(trellis.mail.mails_to(&person.email).len(), 1);
    let recorded: (String, i32) = sqlx::query_as("SELECT state, attempts FROM emails")
        .fetch_one(&trellis.pool)
        .await
        .unwrap();
    assert_eq!(recorded, ("sent".to_owned(), 1));
}

#[tokio::test]
async fn a_sign_up_does_not_wait_for_a_mail_server_that_never_answers() {
    let silent = std::net::TcpListener::bind(trellis_testkit::free_address()).unwrap();
    let address = silent.local_addr().unwrap();
    let trellis = Trellis::start_queued_with(&address.to_string()).await;
    let beside = Trellis::start_queued().await;
    let (mut persons, mut took) = (Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..50 {
        for (number, which) in [&trellis, &beside].into_iter().enumerate() {
            let begun = Instant::now();
            let person = which.person().await;
            took[number].push(begun.elapsed());
            apply(&which.pool, &outbox(&which.pool).await).await;
            persons.extend((number == 0).then_some(person));
        }
    }
    for took in &mut took {
        took.sort_unstable();
    }
    let [stalled, working] =
        took.each_ref().map(|took| (took[took.len() / 2], took[took.len() - 1]));
    println!(
        "50 sign-ups, median and slowest: {stalled:?}, beside a server that works: {working:?}"
    );
    // Each would wait for 5 s.
    assert!(stalled.1 < Duration::from_secs(5), "{stalled:?}");
    assert!(stalled.0 < working.0 * 2, "{stalled:?} beside {working:?}");
    drop(silent);
    let server = MailServer::start_at(address).await;
    trellis_testkit::wait_until("all are sent", Duration::from_mins(1), async || {
        sqlx::query(
            "UPDATE emails SET next_attempt_at = now() AT TIME ZONE 'UTC' WHERE state = 'queued'",
        )
        .execute(&trellis.pool)
        .await
        .unwrap();
        let left = "SELECT count(*) FROM emails WHERE state <> 'sent'";
        sqlx::query_scalar::<_, i64>(left).fetch_one(&trellis.pool).await.unwrap() == 0
    })
    .await;
    for person in &persons {
        assert_eq!(server.mails_to(&person.email).len(), 1, "{}", person.email);
    }
}

#[tokio::test]
async fn preferences_publish_their_versions() {
    let trellis = Trellis::start_queued().await;
    let person = trellis.person().await;
    let quiet = json!({"preferences": [{"kind": "KIND_MENTION"}]});
    for _ in 0..2 {
        person.put("/v1/notification-preferences", quiet.clone()).await.ok();
    }
    let events = outbox(&trellis.pool).await;
    let versions = events.iter().filter(|e| e.kind == "trellis.events.v1.PreferencesChanged");
    let key = format!("preferences-{}", person.id);
    assert!(versions.clone().all(|event| event.key == key));
    assert_eq!(versions.map(|event| event.version).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn the_mode_is_changed_while_trellis_runs() {
    let trellis = Trellis::start_queued().await;
    let person = trellis.person().await;
    sqlx::query("UPDATE settings SET mail_mode = 'inline'").execute(&trellis.pool).await.unwrap();
    trellis_testkit::wait_until("mail leaves inline", Duration::from_secs(30), async || {
        let person = trellis.person().await;
        trellis.mail.mails_to(&person.email).len() == 1
    })
    .await;
    assert!(trellis.mail.mails_to(&person.email).is_empty());
}

/// Somebody has signed up and their mail is queued.
async fn mailed(trellis: &Trellis) -> Person<'_> {
    let person = trellis.person().await;
    apply(&trellis.pool, &outbox(&trellis.pool).await).await;
    person
}

/// State, attempts and last error of the one mail.
async fn mail(trellis: &Trellis) -> (String, i32, String) {
    let mail = sqlx::query_as("SELECT state, attempts, last_error FROM emails");
    mail.fetch_one(&trellis.pool).await.unwrap()
}

/// Waits until the one mail is in this state.
async fn is_in(trellis: &Trellis, state: &str) {
    let what = format!("the mail is to be {state}");
    trellis_testkit::wait_until(&what, PATIENCE, async || mail(trellis).await.0 == state).await;
}

/// Whether a crash now would have the one mail due again after 4 s at the latest.
async fn is_due_within_4_s(trellis: &Trellis) -> bool {
    let due = "SELECT next_attempt_at <= now() AT TIME ZONE 'UTC' + interval '4 s' FROM emails";
    sqlx::query_scalar(due).fetch_one(&trellis.pool).await.unwrap()
}

async fn is_tried_again(smtp: &str, error: &str) {
    let trellis = Trellis::start_queued_with(smtp).await;
    mailed(&trellis).await;
    // The waits themselves are the domain's; here they are cut short.
    for attempts in 1..=6 {
        trellis_testkit::wait_until("the attempt is to end", PATIENCE, async || {
            let mail = mail(&trellis).await;
            mail.0 == "queued" && mail.1 == attempts
        })
        .await;
        let due = "UPDATE emails SET next_attempt_at = now() AT TIME ZONE 'UTC'
                   WHERE state = 'queued'";
        sqlx::query(due).execute(&trellis.pool).await.unwrap();
    }
    assert!(mail(&trellis).await.2.contains(error));
}

/// What stands in the outbox, in order.
async fn outbox(pool: &Pool) -> Vec<Event> {
    type Row = (Uuid, String, String, String, i64, Vec<u8>);
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT event_id, topic, key, type, version, payload FROM ficus.outbox ORDER BY id",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let event = |(id, topic, key, kind, version, payload): Row| Event {
        id,
        topic,
        key,
        kind,
        version,
        payload: payload.into(),
        traceparent: None,
    };
    rows.into_iter().map(event).collect()
}

/// Applies a batch as the consumer does.
async fn apply(pool: &Pool, events: &[Event]) {
    let handler = Incoming(Store::new(pool.clone()));
    let mut tx = handler.begin().await.unwrap();
    let ids: Vec<_> = events.iter().map(|event| event.id).collect();
    let fresh = handler.fresh(&mut tx, &ids).await.unwrap();
    for event in events.iter().filter(|event| fresh.contains(&event.id)) {
        handler.apply(&mut tx, event).await.unwrap();
    }
    tx.commit().await.unwrap();
}
