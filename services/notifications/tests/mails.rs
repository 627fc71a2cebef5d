//! The mail worker against a real database and the sandbox's mail server.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use ficus_owners::{Owners, Side, View};
use ficus_pg::Pool;
use ficus_process::Shutdown;
use sqlx::{AssertSqlSafe, PgPool};
use support::{MailServer, directory, service_database};
use tokio::task::JoinHandle;
use trellis_notifications::mailer::{IN_FLIGHT, Mailer};
use trellis_notifications::peers::{Directory, Smtp};
use trellis_testkit::{Database, Line, Reluctant, Server, refusing, wait_until};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(15);

const OURS: View =
    View { owner: Side::Service, epoch: 2, pending: None, unfinished: true, retired: false };

struct Worker {
    pool: Pool,
    owners: Owners,
    shutdown: Shutdown,
    task: JoinHandle<()>,
    line: Line,
    database: Database,
}

impl Worker {
    async fn start(smtp: &str, view: View) -> Self {
        Self::start_with(smtp, view, directory().await).await
    }

    async fn start_with(smtp: &str, view: View, directory: String) -> Self {
        let database = service_database().await;
        let pool = database.pool().await;
        sqlx::raw_sql("INSERT INTO templates VALUES ('welcome', 'Welcome {name}', 'Hello {name}')")
            .execute(&pool)
            .await
            .unwrap();
        let owners = Owners::fixed([("notifications".to_owned(), view)]);
        let directory = Directory::at(&directory).unwrap();
        let smtp = Smtp::at(smtp, IN_FLIGHT).unwrap();
        let line = Line::to(database.url()).await;
        let mails = ficus_pg::connect(line.url(), "mails", 1).unwrap();
        let mailer = Mailer::new(&mails, owners.clone(), directory, smtp);
        let shutdown = Shutdown::new();
        let task = tokio::spawn(mailer.run(shutdown.clone()));
        Self { pool, owners, shutdown, task, line, database }
    }

    /// Queues a mail to the person and answers its id.
    async fn queue(&self, user_id: i64) -> i64 {
        sqlx::query_scalar(
            "WITH mail AS (
                 INSERT INTO mails (user_id, template, cause) VALUES ($1, 'welcome', 'sign-up')
                 RETURNING id
             )
             INSERT INTO deliveries (mail_id) SELECT id FROM mail RETURNING mail_id",
        )
        .bind(user_id)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    async fn state(&self, mail: i64) -> (String, i32, Option<String>) {
        sqlx::query_as(
            "SELECT state::text, attempts, last_error FROM deliveries WHERE mail_id = $1",
        )
        .bind(mail)
        .fetch_one(&self.pool)
        .await
        .unwrap()
    }

    /// Whether a crash now would have the mail due again after 4 s at the latest.
    async fn is_due_within_4_s(&self, mail: i64) -> bool {
        let due =
            "SELECT next_attempt_at <= now() + interval '4 s' FROM deliveries WHERE mail_id = $1";
        sqlx::query_scalar(due).bind(mail).fetch_one(&self.pool).await.unwrap()
    }

    async fn wait_for(&self, mail: i64, state: &str) {
        wait_until(&format!("mail {mail} is to be {state}"), PATIENCE, async || {
            self.state(mail).await.0 == state
        })
        .await;
    }

    /// Loses the server's host while so many statements of the mailer wait for their answers.
    async fn lose_the_server_under(&self, statements: i64) {
        let mut holding = self.pool.begin().await.unwrap();
        sqlx::query("LOCK TABLE deliveries").execute(&mut *holding).await.unwrap();
        self.database.blocked(statements).await;
        self.line.lose_the_server();
        holding.rollback().await.unwrap();
    }

    async fn told(&self) -> Vec<(String, String)> {
        sqlx::query_as("SELECT key, type FROM ficus.outbox ORDER BY key")
            .fetch_all(&self.pool)
            .await
            .unwrap()
    }

    async fn end(self) {
        self.shutdown.request();
        self.task.await.unwrap();
    }
}

#[tokio::test]
async fn each_mail_is_sent_once_and_told() {
    let server = MailServer::start().await;
    let worker = Worker::start(&server.smtp(), OURS).await;
    let mut mails = Vec::new();
    for user_id in 1..=40 {
        mails.push(worker.queue(user_id).await);
    }
    for mail in &mails {
        worker.wait_for(*mail, "sent").await;
    }
    let mut taken: Vec<String> =
        server.mails().iter().map(|mail| mail.message_id.clone()).collect();
    taken.sort();
    let mut wanted: Vec<String> =
        mails.iter().map(|id| format!("<mail-{id}@trellis.local>")).collect();
    wanted.sort();
    assert_eq!(taken, wanted);
    assert_eq!(worker.told().await.len(), 40);
    assert_eq!(worker.state(mails[0]).await, ("sent".to_owned(), 1, None));
    worker.end().await;
}

#[tokio::test]
async fn a_mail_that_is_refused_is_given_up_and_told() {
    let server = refusing("220 ready\r\n", "550 nobody\0 here\r\n").await;
    let worker = Worker::start(&server, OURS).await;
    let mail = worker.queue(1).await;
    worker.wait_for(mail, "failed").await;
    let (_, attempts, error) = worker.state(mail).await;
    assert_eq!(attempts, 1);
    assert!(error.unwrap().contains("nobody\u{fffd} here"));
    let bounced = "trellis.events.v1.MailBounced".to_owned();
    assert_eq!(worker.told().await, [(format!("mail-{mail}"), bounced)]);
    worker.end().await;
}

#[tokio::test]
async fn a_claim_that_nobody_recorded_is_taken_again_when_it_has_run_out() {
    let server = MailServer::start().await;
    let worker = Worker::start(&server.smtp(), View { owner: Side::Monolith, ..OURS }).await;
    let (crashed, fresh) = (worker.queue(1).await, worker.queue(2).await);
    let claimed = "UPDATE deliveries SET state = 'sending', attempts = 1,
                   next_attempt_at = now() + CASE mail_id WHEN $1 THEN interval '-1 s' ELSE interval '30 s' END";
    sqlx::query(claimed).bind(crashed).execute(&worker.pool).await.unwrap();
    worker.owners.set("notifications", OURS);
    worker.wait_for(crashed, "sent").await;
    assert_eq!(worker.state(crashed).await.1, 2);
    assert_eq!(worker.state(fresh).await, ("sending".to_owned(), 1, None));
    worker.end().await;
}

#[tokio::test]
async fn a_claim_lasts_as_long_as_the_mail_server_takes() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let worker = Worker::start(&silent.local_addr().unwrap().to_string(), OURS).await;
    let mail = worker.queue(1).await;
    worker.wait_for(mail, "sending").await;
    assert!(worker.is_due_within_4_s(mail).await);
    // Longer than a claim lasts that nobody renews, shorter than the mail server is waited for.
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    assert_eq!(worker.state(mail).await, ("sending".to_owned(), 1, None));
    assert!(worker.is_due_within_4_s(mail).await);
    worker.end().await;
}

#[tokio::test]
async fn a_mail_server_that_takes_long_for_a_mail_gets_it_once() {
    let server = MailServer::start().await;
    server.takes(Duration::from_millis(6_500)).await;
    let worker = Worker::start(&server.smtp(), OURS).await;
    let mail = worker.queue(1).await;
    worker.wait_for(mail, "sent").await;
    // Longer than a claim lasts: what was sent a second time would have been taken by then.
    server.takes(Duration::ZERO).await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!((worker.state(mail).await.1, server.mails().len()), (1, 1));
    worker.end().await;
}

#[tokio::test]
async fn an_end_does_not_wait_for_as_long_as_a_mail_server_may_take() {
    let server = MailServer::start().await;
    server.takes(Duration::from_hours(1)).await;
    let worker = Worker::start(&server.smtp(), OURS).await;
    for user_id in 0..i64::from(IN_FLIGHT) {
        worker.queue(user_id).await;
    }
    let claimed = "SELECT count(*) FROM deliveries WHERE state = 'sending' AND attempts = 1
                      AND next_attempt_at <= now() + interval '4 s'";
    let claimed = async || sqlx::query_scalar::<_, i64>(claimed).fetch_one(&worker.pool).await;
    wait_until("each place is to be taken", PATIENCE, async || {
        claimed().await.unwrap() == i64::from(IN_FLIGHT)
    })
    .await;
    worker.shutdown.request();
    let ended = tokio::time::timeout(Duration::from_secs(8), worker.task).await;
    ended.expect("the process is to end by itself in time").unwrap();
    assert_eq!(claimed().await.unwrap(), i64::from(IN_FLIGHT), "left to whoever comes next");
}

#[tokio::test]
async fn a_process_that_stood_still_does_not_take_its_mail_from_itself() {
    let mut server = Reluctant::start().await;
    let worker = Worker::start(&server.address, OURS).await;
    let mail = worker.queue(1).await;
    server.is_reached().await;
    // The claim has run out, as it has when the process goes on after it stood still.
    sqlx::query("UPDATE deliveries SET next_attempt_at = now()")
        .execute(&worker.pool)
        .await
        .unwrap();
    let after_renewal = Duration::from_secs(2);
    let again = tokio::time::timeout(after_renewal, server.reached.recv()).await;
    assert!(again.is_err(), "it was handed over once");
    server.may_answer.send(()).await.unwrap();
    worker.wait_for(mail, "sent").await;
    assert_eq!(worker.state(mail).await.1, 1);
    worker.end().await;
}

#[tokio::test]
async fn what_a_mail_server_says_too_late_is_not_taken_for_another_answer() {
    let mut server = Reluctant::at(&["RCPT", "."]).await;
    let worker = Worker::start(&server.address, OURS).await;
    let mail = worker.queue(1).await;
    server.is_reached().await;
    wait_until("the mail server is to have been waited for", PATIENCE, async || {
        worker.state(mail).await.2.is_some_and(|error| error.contains("in time"))
    })
    .await;
    // Its answer to the first attempt, which nobody waits for any more; to the second one's mail it has none yet.
    for _ in 0..2 {
        server.may_answer.send(()).await.unwrap();
        server.is_reached().await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(worker.state(mail).await.0, "sending");
    server.may_answer.send(()).await.unwrap();
    worker.wait_for(mail, "sent").await;
    worker.end().await;
}

#[tokio::test]
async fn mails_are_sent_once_while_requests_have_every_connection() {
    let mut server = Reluctant::start().await;
    let worker = Worker::start(&server.address, OURS).await;
    let requests: Vec<_> = (0..worker.pool.options().get_max_connections())
        .map(|_| worker.pool.clone())
        .map(|pool| async move { pool.acquire().await.unwrap() })
        .collect();
    let other = sqlx::PgPool::connect_with(worker.pool.connect_options().as_ref().clone());
    let other = Worker { pool: other.await.unwrap().into(), ..worker };
    let mut held = Vec::new();
    for request in requests {
        held.push(request.await);
    }
    let mail = other.queue(1).await;
    server.is_reached().await;
    // Longer than a claim lasts that nobody renews.
    tokio::time::sleep(Duration::from_millis(4_500)).await;
    assert_eq!(other.state(mail).await, ("sending".to_owned(), 1, None));
    server.may_answer.send(()).await.unwrap();
    other.wait_for(mail, "sent").await;
    assert!(server.reached.try_recv().is_err(), "it was handed over once");
    drop(held);
    other.end().await;
}

#[tokio::test]
async fn a_mail_is_not_given_up_while_anybody_is_away_or_puts_it_off() {
    let server = MailServer::start().await;
    // Nobody listens on the discard port.
    let worker = Worker::start_with(&server.smtp(), OURS, "http://127.0.0.1:9".to_owned()).await;
    is_tried_again(worker, "the directory is away").await;
    is_tried_again(Worker::start("127.0.0.1:9", OURS).await, "the mail server answered").await;
    for (greeting, recipient, error) in [
        ("554 not today\r\n", "550 nobody here\r\n", "not today"),
        ("220 ready\r\n", "451 come back later\r\n", "come back later"),
    ] {
        let worker = Worker::start(&refusing(greeting, recipient).await, OURS).await;
        is_tried_again(worker, error).await;
    }
}

async fn is_tried_again(worker: Worker, error: &str) {
    let mail = worker.queue(1).await;
    // The waits themselves are domain::mail's; here they are cut short.
    for attempts in 1..=6 {
        wait_until("the attempt is to end", PATIENCE, async || {
            let state = worker.state(mail).await;
            state.0 == "queued" && state.1 == attempts
        })
        .await;
        sqlx::query("UPDATE deliveries SET next_attempt_at = now() WHERE state = 'queued'")
            .execute(&worker.pool)
            .await
            .unwrap();
    }
    assert!(worker.state(mail).await.2.unwrap().contains(error));
    worker.end().await;
}

/// Whether the database takes connections; those there are end.
async fn admit(name: &str, admits: bool) {
    let server = PgPool::connect(&Server::Second.url()).await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname =";
    for statement in [
        format!("ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {admits}"),
        format!("{end} '{name}'"),
    ] {
        sqlx::query(AssertSqlSafe(statement)).execute(&server).await.unwrap();
    }
}

#[tokio::test]
async fn a_mail_that_was_taken_while_the_database_is_away_is_recorded_and_not_sent_again() {
    let mut server = Reluctant::start().await;
    let worker = Worker::start(&server.address, OURS).await;
    let name = sqlx::query_scalar("SELECT current_database()::text");
    let name: String = name.fetch_one(&worker.pool).await.unwrap();
    let mail = worker.queue(1).await;
    server.is_reached().await;
    admit(&name, false).await;
    server.may_answer.send(()).await.unwrap();
    // Longer than its claim lasts that nobody renews, and than a process that ends would try.
    tokio::time::sleep(Duration::from_secs(12)).await;
    admit(&name, true).await;
    let mut repeats = 0;
    wait_until("the mail is to be recorded", PATIENCE, async || {
        while server.reached.try_recv().is_ok() {
            repeats += 1;
            server.may_answer.send(()).await.unwrap();
        }
        worker.state(mail).await.0 == "sent"
    })
    .await;
    assert_eq!((worker.state(mail).await.1, repeats), (1, 0));
    worker.end().await;
}

#[tokio::test]
async fn mails_go_on_after_the_databases_host_was_lost_under_a_claim() {
    let server = MailServer::start().await;
    let worker = Worker::start(&server.smtp(), OURS).await;
    worker.lose_the_server_under(1).await;
    let mail = worker.queue(1).await;
    wait_until("the mail is to be sent", 2 * PATIENCE, async || {
        worker.state(mail).await.0 == "sent"
    })
    .await;
    worker.end().await;
}

#[tokio::test]
async fn a_claim_is_renewed_although_the_databases_host_was_lost_under_a_renewal() {
    let mut server = Reluctant::start().await;
    let worker = Worker::start(&server.address, OURS).await;
    let mail = worker.queue(1).await;
    server.is_reached().await;
    // The next claim is the other one.
    worker.lose_the_server_under(2).await;
    let renewed = "SELECT count(*) > 0 FROM deliveries WHERE next_attempt_at > $1";
    let lost: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("SELECT now() + interval '4 s'").fetch_one(&worker.pool).await.unwrap();
    wait_until("the claim is to be renewed", PATIENCE, async || {
        sqlx::query_scalar(renewed).bind(lost).fetch_one(&worker.pool).await.unwrap()
    })
    .await;
    server.may_answer.send(()).await.unwrap();
    worker.wait_for(mail, "sent").await;
    assert_eq!(worker.state(mail).await.1, 1);
    worker.end().await;
}

#[tokio::test]
async fn nothing_is_sent_for_another_owner_or_while_a_switch_is_pending() {
    let server = MailServer::start().await;
    let pending = View { pending: Some(Uuid::from_u128(1)), ..OURS };
    let others = View { owner: Side::Monolith, ..OURS };
    let worker = Worker::start(&server.smtp(), pending).await;
    let mail = worker.queue(1).await;
    for view in [pending, others] {
        worker.owners.set("notifications", view);
        // Twice as long as an idle worker waits; there is no condition to wait for.
        tokio::time::sleep(Duration::from_millis(400)).await;
        assert_eq!(worker.state(mail).await.0, "queued");
    }
    worker.owners.set("notifications", OURS);
    worker.wait_for(mail, "sent").await;
    worker.end().await;
}
