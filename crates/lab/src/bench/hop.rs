//! What a request through the gateway costs of the processor, beside nginx in front of the same monolith.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use ficus_load::{Client, Load, Options, Planned, Reply, Request, Scenario};
use http::{Method, StatusCode};
use rand::rngs::StdRng;
use sqlx::{Connection as _, PgConnection};

use super::figure::{Better, Figure};
use super::nginx::{self, Nginx};
use super::processor;
use super::rounds::in_turns;
use super::run::Ground;
use crate::scenario::people;
use crate::seed::seed;
use crate::stack::Stack;
use crate::trial::GATEWAY;

const ROWS: i64 = 20_000;
const RATE: f64 = 1_000.0;
const TURN: Duration = Duration::from_secs(5);
const OPTIONS: Options = Options { rate: RATE, in_flight: 500, seed: 1 };
/// How many failures are named.
const NAMED: usize = 3;
const PATIENCE: Duration = Duration::from_secs(10);

pub async fn measure(ground: &Ground) -> Result<Vec<Figure>> {
    let only =
        ["postgres-monolith", "postgres-services", "kafka", "sandbox", "monolith", "gateway"];
    let stack = ground.fresh(&only).await?;
    seed(stack.database("monolith")?, ROWS, ground.seed).await?;
    let nginx = Nginx::start(&ground.root).await?;
    let contenders = [(GATEWAY, stack.named("gateway")?.pid), (nginx::ADDRESS, nginx.pid()?)];
    let request = a_task(&stack).await?;
    for (address, pid) in contenders {
        turn(address, pid, &request).await?;
    }
    let measured = in_turns::<2>(ground.rounds, async |turn_of| {
        let (address, pid) = contenders[turn_of];
        turn(address, pid, &request).await
    });
    let compared = measured.await?.beside(1);
    let note = format!(
        "{} with its defaults but those of deploy/bench/nginx.conf; GET of one task at {RATE} requests/s, {} s a \
         turn, every answer 200; the gateway decides by route, owner and epoch, counts, and traces 1 %",
        nginx.version,
        TURN.as_secs()
    );
    nginx.stop().await?;
    let figure = Figure::beside("hop.processor", "µs/request", Better::Lower, "nginx", &compared);
    Ok(vec![figure.noting(note)])
}

/// Microseconds of the processor that the process and its children took a request.
async fn turn(address: &str, pid: i32, request: &Request) -> Result<f64> {
    let before = processor::taken(pid)?;
    let same = Arc::new(Mutex::new(Same(request.clone())));
    let load = Load::start(Client::new(address, PATIENCE), same, OPTIONS)?;
    tokio::time::sleep(TURN).await;
    let report = load.stop().await;
    let total = report.total();
    let taken = processor::taken(pid)?.saturating_sub(before);
    ensure!(
        total.failed == 0,
        "{} of {} requests to {address} failed: {:?}",
        total.failed,
        total.sent,
        report.failures().iter().take(NAMED).collect::<Vec<_>>()
    );
    #[expect(clippy::cast_precision_loss, reason = "some thousand requests")]
    let requests = total.sent as f64;
    Ok(taken.as_secs_f64() * 1e6 / requests)
}

/// Somebody reads a task of a project of theirs.
async fn a_task(stack: &Stack) -> Result<Request> {
    let (clients, teams) = people::sign_in(stack, GATEWAY, people::FEW).await?;
    let project = teams[0].projects.first().context("the first workspace has no project")?;
    let mut database = PgConnection::connect(stack.database("monolith")?).await?;
    let task: i64 = sqlx::query_scalar("SELECT min(id) FROM tasks WHERE project_id = $1")
        .bind(project)
        .fetch_one(&mut database)
        .await?;
    Ok(Request {
        route: "GET /v1/tasks/{task_id}",
        method: Method::GET,
        path: format!("/v1/tasks/{task}"),
        bearer: clients[teams[0].members[0]].token.clone().into(),
        idempotency_key: None,
        body: Bytes::new(),
    })
}

/// The same request again and again.
struct Same(Request);

impl Scenario for Same {
    type Step = ();

    fn next(&mut self, _random: &mut StdRng) -> Planned<()> {
        Planned { request: self.0.clone(), expected: StatusCode::OK, step: () }
    }

    fn answered(&mut self, (): (), _reply: &Reply) {}

    fn shed(&mut self, (): ()) {}
}
