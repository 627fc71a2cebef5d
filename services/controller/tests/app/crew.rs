//! The crew of the boats: each member writes into one boat's book and reads back after every write, through
//! every gateway that it uses in turn. What was acknowledged is written down here.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    body::Bytes,
    http::{Method, Request, StatusCode},
};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::stand::{Gateway, Stand};

/// One gateway as the crew sees it.
pub struct Door {
    address: SocketAddr,
    pub reads: AtomicUsize,
    pub writes: AtomicUsize,
    /// 503 with `Retry-After`: it had no effect.
    pub refused_reads: AtomicUsize,
    pub refused_writes: AtomicUsize,
}

impl Door {
    pub fn of(gateway: &Gateway) -> Arc<Self> {
        let [reads, writes, refused_reads, refused_writes] = [(); 4].map(|()| AtomicUsize::new(0));
        let address = gateway.address;
        Arc::new(Self { address, reads, writes, refused_reads, refused_writes })
    }

    /// Reads and writes that were answered, and those that were refused.
    pub fn counts(&self) -> [usize; 4] {
        [&self.reads, &self.writes, &self.refused_reads, &self.refused_writes]
            .map(|count| count.load(Ordering::Acquire))
    }
}

pub struct Crew {
    members: Vec<JoinHandle<Member>>,
    ended: Arc<AtomicBool>,
}

pub struct Member {
    boat: String,
    doors: Vec<Arc<Door>>,
    http: Client<HttpConnector, Full<Bytes>>,
    turn: usize,
    /// The acknowledged texts, as amended last.
    entries: Vec<String>,
    /// Texts that were refused, so they must stand nowhere.
    refused: Vec<String>,
    /// Answers that must not be.
    wrong: Vec<String>,
    slowest: Duration,
}

impl Crew {
    /// One member for each list of doors.
    pub fn start(doors: impl IntoIterator<Item = Vec<Arc<Door>>>) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let members = doors.into_iter().enumerate().map(|(number, doors)| {
            let member = Member {
                boat: format!("boat-{number}"),
                doors,
                http: Client::builder(TokioExecutor::new()).build_http(),
                turn: number,
                entries: Vec::new(),
                refused: Vec::new(),
                wrong: Vec::new(),
                slowest: Duration::ZERO,
            };
            tokio::spawn(member.works_until(Arc::clone(&ended)))
        });
        Self { members: members.collect(), ended }
    }

    /// Everybody ends; `service` owns. Nothing acknowledged is lost, doubled or out of order, nothing that
    /// was refused had an effect, and no answer was wrong or stale.
    pub async fn stop(self, stand: &Stand, service: bool) {
        self.ended.store(true, Ordering::Release);
        for member in self.members {
            let member = member.await.unwrap();
            assert!(member.wrong.is_empty(), "{}: {:#?}", member.boat, member.wrong);
            let (texts, count) = stand.book(&member.boat, service).await;
            assert!(!texts.iter().any(|text| member.refused.contains(text)), "{}", member.boat);
            assert_eq!(texts, member.entries, "{}", member.boat);
            assert_eq!(usize::try_from(count).unwrap(), texts.len(), "{}", member.boat);
            println!("{}: {count} entries, slowest answer {:?}", member.boat, member.slowest);
        }
    }
}

impl Member {
    async fn works_until(mut self, ended: Arc<AtomicBool>) -> Self {
        while !ended.load(Ordering::Acquire) && self.wrong.is_empty() {
            let text = format!("{} writes {}", self.boat, self.turn);
            if let Some(id) = self.enters(text.clone()).await {
                self.reads_back().await;
                self.amends(id, format!("{text}, amended")).await;
            }
            self.reads_back().await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self
    }

    async fn enters(&mut self, text: String) -> Option<i64> {
        let path = format!("/logbook/{}/entries", self.boat);
        let entry = json!({ "said": text, "urgent": self.turn.is_multiple_of(7) });
        let answer = self.write(Method::POST, path, entry, &text).await?;
        self.entries.push(text);
        let id = answer["id"].as_i64();
        assert!(id.is_some(), "{answer}");
        id
    }

    async fn amends(&mut self, id: i64, text: String) {
        let path = format!("/logbook/{}/entries/{id}", self.boat);
        if self.write(Method::PUT, path, json!({ "said": text }), &text).await.is_some() {
            *self.entries.last_mut().unwrap() = text;
        }
    }

    /// Through the next door; `None` if it was refused.
    async fn write(
        &mut self,
        method: Method,
        path: String,
        body: Value,
        text: &str,
    ) -> Option<Value> {
        self.turn += 1;
        let door = Arc::clone(&self.doors[self.turn % self.doors.len()]);
        let answer = self.ask(&door, method, &path, body.to_string()).await;
        let count = if answer.is_some() { &door.writes } else { &door.refused_writes };
        count.fetch_add(1, Ordering::AcqRel);
        if answer.is_none() {
            self.refused.push(text.to_owned());
        }
        answer
    }

    /// Through every door in turn: what was acknowledged to this member before must be there.
    async fn reads_back(&mut self) {
        let path = format!("/logbook/{}", self.boat);
        let wanted = json!({ "entries": self.entries.len(), "last": self.entries.last() });
        for door in self.doors.clone() {
            match self.ask(&door, Method::GET, &path, String::new()).await {
                None => {
                    door.refused_reads.fetch_add(1, Ordering::AcqRel);
                }
                Some(read) => {
                    door.reads.fetch_add(1, Ordering::AcqRel);
                    if read != wanted {
                        self.complain(format!("{} says {read} for {wanted}", door.address));
                    }
                }
            }
        }
    }

    /// The JSON of a good answer, null if there is none; `None` if it was refused as a switch may refuse.
    async fn ask(
        &mut self,
        door: &Door,
        method: Method,
        path: &str,
        body: String,
    ) -> Option<Value> {
        let request = Request::builder()
            .method(method.clone())
            .uri(format!("http://{}{path}", door.address))
            .header("content-type", "application/json")
            .body(Full::from(body))
            .unwrap();
        let start = Instant::now();
        let answer = self.http.request(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        self.slowest = self.slowest.max(start.elapsed());
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        if head.status.is_success() {
            return Some(json);
        }
        let refused = head.status == StatusCode::SERVICE_UNAVAILABLE
            && head.headers.contains_key("retry-after")
            && json["code"] == "switch_under_way";
        if !refused {
            self.complain(format!("{} {method} {path}: {head:?} {body:?}", door.address));
        }
        None
    }

    /// Said at once, since the test may wait in vain for this member, who stops here.
    fn complain(&mut self, wrong: String) {
        eprintln!("{}: {wrong}", self.boat);
        self.wrong.push(wrong);
    }
}
