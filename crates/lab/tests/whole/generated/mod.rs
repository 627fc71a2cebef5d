//! Requests made from the OpenAPI document, sound and broken, over every operation: none is answered by a server
//! error, every refusal is a problem document, every success is what the document declares. First the monolith
//! answers for notifications, then the service. `FICUS_SEED` draws the same requests again, `FICUS_REQUESTS` is how many.

mod answer;
mod client;
mod document;
mod draw;
mod known;
mod request;
mod values;
mod worker;

use std::sync::Arc;
use std::time::Instant;

use document::Document;
use trellis_testkit::setting;
use worker::{Tally, Worker};

use crate::stack::Stack;

/// They send at the same time, each for a person of its own.
const WORKERS: u64 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_made_from_the_document_is_a_server_error() {
    let seed = setting("FICUS_SEED", std::process::id().into());
    let requests = setting("FICUS_REQUESTS", 20_000);
    eprintln!("FICUS_SEED={seed} FICUS_REQUESTS={requests}");
    let stack = Stack::start().await;
    let document = Arc::new(Document::fetch(&stack.gateway()).await);
    let mut workers = worker::acquainted(&stack.gateway(), &document, seed).await;
    let each = requests / WORKERS / 2;

    let first = round(&mut workers, each).await;
    stack.copied().await;
    stack.switch(true).await;
    let second = round(&mut workers, each).await;

    let wrong: Vec<_> = first.wrong.iter().chain(&second.wrong).take(10).cloned().collect();
    let count = first.wrong.len() + second.wrong.len();
    assert!(wrong.is_empty(), "FICUS_SEED={seed}: {count} wrong, as\n{}", wrong.join("\n\n"));
    for (owner, tally) in [("monolith", &first), ("service", &second)] {
        eprintln!("{owner}: {} in {:?}", tally.summary(), tally.time);
        for operation in document.operations() {
            let (done, refused) = tally.outcomes.get(&operation.id).copied().unwrap_or_default();
            let few = requests >= 20_000 && (done < 5 || refused < 5);
            assert!(!few, "{}: {done} done and {refused} refused by {owner}", operation.id);
        }
    }
}

/// Every worker sends so many.
async fn round(workers: &mut Vec<Worker>, each: u64) -> Tally {
    let began = Instant::now();
    let sending = workers.drain(..).map(|mut worker| {
        tokio::spawn(async move {
            let tally = worker.send(each).await;
            (worker, tally)
        })
    });
    let sending: Vec<_> = sending.collect();
    let mut whole = Tally::default();
    for sent in sending {
        let (worker, tally) = sent.await.unwrap();
        workers.push(worker);
        whole.add(tally);
    }
    whole.time = began.elapsed();
    whole
}
