//! What a mail server that is slow, or has stopped, does to who signs up.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use ficus_load::{Client, Latency, Load, Options, Planned, Reply, Request, Scenario};
use http::{Method, StatusCode};
use rand::rngs::StdRng;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use super::figure::{Better, Figure};
use super::rounds::in_turns;
use super::run::Ground;
use crate::request;
use crate::scenario::SIGN_UP;
use crate::seed::PASSWORD;
use crate::stack::Stack;
use crate::trial::GATEWAY;

/// A second; each is a password to hash.
const RATE: f64 = 20.0;
const TURN: Duration = Duration::from_secs(10);
const SLOW: Duration = Duration::from_millis(200);
/// Longer than a turn: no mail of it is taken meanwhile.
const STOPPED: Duration = Duration::from_secs(15);
/// The mode of mail is at most 100 ms old where it is used.
const MODE: Duration = Duration::from_millis(300);
const PATIENCE: Duration = Duration::from_mins(2);
const ANSWER: Duration = Duration::from_secs(10);
const SANDBOX: &str = "http://127.0.0.1:8252";

/// How mail leaves, and how long the mail server takes for one.
#[derive(Debug, Clone, Copy)]
struct Post {
    mode: &'static str,
    delay: Duration,
}

const fn queued(delay: Duration) -> Post {
    Post { mode: "queued", delay }
}

pub async fn measure(ground: &Ground) -> Result<Vec<Figure>> {
    let only =
        ["postgres-monolith", "postgres-services", "kafka", "sandbox", "monolith", "gateway"];
    let stack = ground.fresh(&only).await?;
    let signs = Arc::new(Mutex::new(Newcomers(0)));
    // Whoever comes first pays for connections and caches.
    turn(&stack, &signs, queued(Duration::ZERO)).await?;
    let contenders = [queued(STOPPED), queued(Duration::ZERO)];
    let stopped = in_turns::<2>(ground.rounds, async |number| {
        Ok(turn(&stack, &signs, contenders[number]).await?.p99)
    });
    let stopped = stopped.await?.beside(1);
    let contenders = [queued(SLOW), Post { mode: "inline", delay: SLOW }];
    let slow = in_turns::<2>(ground.rounds, async |number| {
        Ok(turn(&stack, &signs, contenders[number]).await?.p50)
    });
    let slow = slow.await?.beside(1);
    let seconds = TURN.as_secs();
    let note = format!(
        "{RATE} sign-ups/s through the gateway, {seconds} s a turn, every one answered; the password is hashed \
         in each; no mail is taken within a turn, beside a mail server that takes each at once"
    );
    let figure =
        |name, opponent, compared| Figure::beside(name, "ms", Better::Lower, opponent, compared);
    Ok(vec![
        figure("signup.stopped.p99", "a mail server that works", &stopped).noting(note),
        figure("signup.slow.p50", "inline mail", &slow)
            .noting(format!("both with a mail server that takes {} ms", SLOW.as_millis())),
    ])
}

/// How long sign-ups took from when they were due. Every mail has left when it ends.
async fn turn(stack: &Stack, signs: &Arc<Mutex<Newcomers>>, post: Post) -> Result<Latency> {
    let mut database = PgConnection::connect(stack.database("monolith")?).await?;
    sqlx::query("UPDATE settings SET mail_mode = $1")
        .bind(post.mode)
        .execute(&mut database)
        .await?;
    tokio::time::sleep(MODE).await;
    delay(post.delay).await?;
    let options = Options { rate: RATE, in_flight: 200, seed: 1 };
    let load = Load::start(Client::new(GATEWAY, ANSWER), signs.clone(), options)?;
    tokio::time::sleep(TURN).await;
    let report = load.stop().await;
    let total = report.total();
    ensure!(total.failed == 0, "{} of {} sign-ups failed", total.failed, total.sent);
    delay(Duration::ZERO).await?;
    let begun = Instant::now();
    let waiting = "SELECT count(*) FROM users AS u WHERE email LIKE 'newcomer-%'
                   AND NOT EXISTS (SELECT FROM emails WHERE user_id = u.id AND state = 'sent')";
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut database).await? > 0 {
        ensure!(begun.elapsed() < PATIENCE, "mails do not leave");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(total.latency)
}

async fn delay(time: Duration) -> Result<()> {
    let body = json!({"milliseconds": u64::try_from(time.as_millis())?});
    request::post(SANDBOX, "/smtp/delay", &body).await?;
    Ok(())
}

/// Newcomers, each with an address of their own.
struct Newcomers(u64);

impl Scenario for Newcomers {
    type Step = ();

    fn next(&mut self, _random: &mut StdRng) -> Planned<()> {
        self.0 += 1;
        let email = format!("newcomer-{}@example.com", self.0);
        let body = json!({"email": email, "name": "Newcomer", "password": PASSWORD});
        let request = Request {
            route: SIGN_UP,
            method: Method::POST,
            path: "/v1/sign-up".to_owned(),
            bearer: None,
            idempotency_key: None,
            body: Bytes::from(body.to_string()),
        };
        Planned { request, expected: StatusCode::OK, step: () }
    }

    fn answered(&mut self, (): (), _reply: &Reply) {}

    fn shed(&mut self, (): ()) {}
}
