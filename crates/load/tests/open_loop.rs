//! The load generator against a server whose behaviour is scripted.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use ficus_load::{Client, Load, Options, Planned, Reply, Report, Request, Scenario};
use http::{Method, StatusCode};
use rand::rngs::StdRng;

#[derive(Default)]
struct Same {
    planned: u64,
    answered: u64,
    shed: u64,
}

impl Scenario for Same {
    type Step = ();

    fn next(&mut self, _random: &mut StdRng) -> Planned<()> {
        self.planned += 1;
        let request = Request {
            route: "GET /",
            method: Method::GET,
            path: "/".to_owned(),
            bearer: None,
            idempotency_key: None,
            body: Bytes::new(),
        };
        Planned { request, expected: StatusCode::OK, step: () }
    }

    fn answered(&mut self, (): (), _reply: &Reply) {
        self.answered += 1;
    }

    fn shed(&mut self, (): ()) {
        self.shed += 1;
    }
}

/// A server that answers at once, but nothing between `from` and `to` after the first request.
async fn stalling(from: Duration, to: Duration) -> String {
    let begun: Arc<Mutex<Option<Instant>>> = Arc::default();
    let answer = move || {
        let begun = *begun.lock().unwrap().get_or_insert_with(Instant::now);
        async move {
            let age = begun.elapsed();
            if age >= from && age < to {
                tokio::time::sleep(to.saturating_sub(age)).await;
            }
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/", get(answer));
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}")
}

async fn load(base: &str, in_flight: u32, length: Duration) -> (Report, Arc<Mutex<Same>>) {
    let scenario: Arc<Mutex<Same>> = Arc::default();
    let client = Client::new(base, Duration::from_secs(10));
    let options = Options { rate: 100.0, in_flight, seed: 1 };
    let load = Load::start(client, scenario.clone(), options).unwrap();
    tokio::time::sleep(length).await;
    (load.stop().await, scenario)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_is_felt_by_all_that_were_due_in_it() {
    // A machine that is busy with other things stalls by itself; one in five must be as scripted.
    let mut other = Vec::new();
    for _ in 0..5 {
        let base = stalling(Duration::from_secs(1), Duration::from_secs(2)).await;
        let (report, _) = load(&base, 1_000, Duration::from_secs(4)).await;
        let total = report.total();
        assert_eq!((total.failed, total.shed), (0, 0));
        assert!(total.sent >= 350, "{total:?}");
        // A quarter of the requests were due in the stall; those waited 0 to 1,000 ms, evenly spread.
        let stalled = report.window(Duration::from_millis(1_010), Duration::from_millis(1_900));
        if total.latency.p50 < 20.0
            && (total.latency.max - 1_000.0).abs() < 60.0
            && (stalled.latency.p50 - 500.0).abs() < 60.0
        {
            return;
        }
        other.push((total, stalled));
    }
    panic!("{other:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_beyond_the_bound_is_shed_and_counted() {
    let base = stalling(Duration::from_millis(500), Duration::from_millis(1_500)).await;
    let (report, scenario) = load(&base, 10, Duration::from_secs(2)).await;
    let total = report.total();
    let scenario = scenario.lock().unwrap();
    // 100 were due in the stall; 10 of them were let through.
    assert!(total.shed.abs_diff(90) < 8, "{total:?}");
    assert_eq!(total.failed, total.shed);
    assert_eq!((scenario.answered, scenario.shed), (total.sent, total.shed));
    assert_eq!(scenario.planned, total.sent + total.shed);
}

#[tokio::test]
async fn nobody_there_is_a_failure_with_its_reason() {
    let (report, _) = load("http://127.0.0.1:9", 10, Duration::from_millis(100)).await;
    let total = report.total();
    assert_eq!((total.ok, total.failed), (0, total.sent));
    assert!(report.failures()[0].contains("onnect"), "{:?}", report.failures());
}
