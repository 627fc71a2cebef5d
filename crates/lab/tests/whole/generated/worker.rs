//! One client, who sends request after request and learns from the answers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use rand::{SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde_json::{Value, json};

use super::WORKERS;
use super::answer::judge;
use super::client::{Answer, Client};
use super::document::{Document, Operation};
use super::known::{Known, PASSWORD};
use super::request::Request;
use super::values::Draw;

pub struct Worker {
    client: Client,
    document: Arc<Document>,
    known: Known,
    rng: StdRng,
}

/// What came of requests.
#[derive(Default)]
pub struct Tally {
    /// Each with its request.
    pub wrong: Vec<String>,
    /// By operation, how many were done and how many refused.
    pub outcomes: BTreeMap<String, (u64, u64)>,
    pub time: Duration,
}

impl Tally {
    pub fn add(&mut self, other: Self) {
        self.wrong.extend(other.wrong);
        for (id, (done, refused)) in other.outcomes {
            let outcomes = self.outcomes.entry(id).or_default();
            *outcomes = (outcomes.0 + done, outcomes.1 + refused);
        }
    }

    pub fn summary(&self) -> String {
        let (done, refused) =
            self.outcomes.values().fold((0, 0), |(a, b), (done, refused)| (a + done, b + refused));
        format!("{done} done, {refused} refused, over {} operations", self.outcomes.len())
    }
}

/// As many as send at once, each a member of every other's workspace.
pub async fn acquainted(gateway: &str, document: &Arc<Document>, seed: u64) -> Vec<Worker> {
    let mut workers = Vec::new();
    for index in 0..WORKERS {
        let email = format!("worker-{index}@example.org");
        let (client, known) = (Client::of(gateway), Known::of(email.clone(), String::new()));
        let rng = StdRng::seed_from_u64(seed.wrapping_mul(WORKERS).wrapping_add(index));
        let mut worker = Worker { client, document: document.clone(), known, rng };
        let who = json!({"email": email, "name": "W", "password": PASSWORD});
        let made = worker.post("/v1/sign-up", &who).await;
        worker.known.token = token(&made);
        worker.known.learn("user_id", &made["user_id"]);
        worker.known.learn("workspace_id", &made["workspace_id"]);
        workers.push(worker);
    }
    let emails: Vec<_> = workers.iter().map(|worker| worker.known.email.clone()).collect();
    for (index, worker) in workers.iter_mut().enumerate() {
        let stranger = json!({"email": emails[(index + 1) % emails.len()], "password": PASSWORD});
        let session = worker.post("/v1/sign-in", &stranger).await;
        worker.known.stranger = token(&session);
        let workspace = worker.known.recall("workspace_id", &mut worker.rng).unwrap();
        for email in &emails {
            let path = format!("/v1/workspaces/{workspace}/members");
            let member = worker.post(&path, &json!({"email": email})).await;
            worker.known.learn("user_id", &member["user_id"]);
        }
    }
    workers
}

impl Worker {
    /// Sends so many; what is wrong is kept with its request.
    pub async fn send(&mut self, requests: u64) -> Tally {
        let mut tally = Tally::default();
        let document = self.document.clone();
        for _ in 0..requests {
            let operation = self.operation(&document);
            let request = self.draw().request(operation);
            // A broken one may be for another, as one that repeats another is.
            let operation =
                document.operation(&request.method, &request.target).unwrap_or(operation);
            let judged = match self.client.send(&request).await {
                Ok(answer) => judge(&document, operation, &request.method, &answer)
                    .map_err(|error| format!("{error}\n{answer:?}")),
                Err(error) => Err(error),
            };
            let outcomes = tally.outcomes.entry(operation.id.clone()).or_default();
            match judged {
                Ok(Some(answer)) if request.method == operation.method => {
                    outcomes.0 += 1;
                    self.note(operation, request, &answer).await;
                }
                Ok(_) => outcomes.1 += 1,
                Err(error) => tally.wrong.push(format!("{}: {error}\n{request}", operation.id)),
            }
        }
        tally
    }

    /// Those that hash a password are seldom, for it takes longer than a hundred others.
    fn operation<'a>(&mut self, document: &'a Document) -> &'a Operation {
        let weight = |operation: &&Operation| {
            if operation.id.contains("Sign") { 1 } else { 10 }
        };
        let all: Vec<_> = document.operations().iter().collect();
        all.choose_weighted(&mut self.rng, weight).unwrap()
    }

    fn draw(&mut self) -> Draw<'_> {
        Draw { document: &self.document, known: &self.known, rng: &mut self.rng }
    }

    async fn note(&mut self, operation: &Operation, request: Request, answer: &Value) {
        self.known.read(&self.document.clone(), &operation.answer, answer);
        if request.header("idempotency-key").is_some() {
            self.known.keep(request, &mut self.rng);
        }
        if operation.id == "Sessions_SignOut" {
            let who = json!({"email": self.known.email, "password": PASSWORD});
            let session = self.post("/v1/sign-in", &who).await;
            self.known.token = token(&session);
        }
    }

    async fn post(&mut self, path: &str, body: &Value) -> Value {
        let bearer = format!("Bearer {}", self.known.token).into_bytes();
        let headers =
            vec![("authorization", bearer), ("content-type", b"application/json".to_vec())];
        let body = body.to_string().into_bytes();
        let request = Request { method: Method::POST, target: path.to_owned(), headers, body };
        let Answer { status, body, .. } = self.client.send(&request).await.unwrap();
        assert_eq!(status, 200, "{request}");
        serde_json::from_slice(&body).unwrap()
    }
}

/// Of the session that was opened.
fn token(answer: &Value) -> String {
    answer["token"].as_str().unwrap().to_owned()
}
