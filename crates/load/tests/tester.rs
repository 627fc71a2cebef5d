//! The tester against servers whose behaviour is scripted and recorded.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, http::StatusCode as Status, routing::get};
use bytes::Bytes;
use ficus_load::{
    Body, Call, Client, Dialer, Kind, Offer, Plan, Request, Schedule, Shape, Share, Slo, Spacing,
    Tally, Target, Tester, TesterReport, Wanted,
};
use http::{HeaderMap, Method};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

/// What is timed has the machine to itself, as far as this file can see to it.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What the server made each request wait.
type Delays = Arc<Mutex<Vec<Duration>>>;

async fn serve(app: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    format!("http://{address}/")
}

/// Answers after what the script says of a request that comes this long after the start; what it was is recorded.
async fn scripted(script: fn(Duration) -> Duration) -> (String, Delays) {
    let (begun, delays) = (Instant::now(), Delays::default());
    let recorded = delays.clone();
    let answer = move || {
        let recorded = recorded.clone();
        async move {
            let came = Instant::now();
            tokio::time::sleep(script(begun.elapsed())).await;
            recorded.lock().unwrap().push(came.elapsed());
        }
    };
    (serve(Router::new().route("/", get(answer))).await, delays)
}

/// Nothing for the first 100 ms of each second.
fn stall(at: Duration) -> Duration {
    Duration::from_millis(100).saturating_sub(Duration::from_nanos(at.subsec_nanos().into()))
}

/// One request in twenty takes 80 ms, the others 5.
fn bimodal(at: Duration) -> Duration {
    Duration::from_millis(if at.subsec_micros() % 20 == 7 { 80 } else { 5 })
}

fn plan(target: &str, rate: &str, length: Duration) -> Plan {
    let target: Target = target.parse().unwrap();
    let kind = Kind::http(&target, Method::GET, HeaderMap::new(), Wanted::Success);
    let call = Call::new(kind, &target, Body::Fixed(Bytes::new()));
    let offer =
        Offer { name: "call".to_owned(), weight: 1.0, server: target.server(), calls: vec![call] };
    Plan {
        name: target.to_string(),
        offers: vec![offer],
        schedule: Schedule::Rate {
            shape: rate.parse::<Shape>().unwrap(),
            spacing: Spacing::Poisson,
        },
        length,
        warm_up: Duration::ZERO,
        seed: 7,
        threads: 2,
        connections: 2,
        in_flight: 1_000,
        timeout: Duration::from_secs(5),
        traced: 0.1,
        traces: 1,
        first_number: 0,
        share: Share::default(),
        dialer: Dialer::new(None).unwrap(),
    }
}

async fn run(plan: &Plan) -> (Tally, TesterReport) {
    let tester = Tester::start(plan).unwrap();
    let begun = Instant::now();
    let (tally, _) = tokio::task::spawn_blocking(move || tester.finish()).await.unwrap();
    let report = TesterReport::new(plan, &tally, begun.elapsed());
    (tally, report)
}

fn quantile(delays: &[Duration], quantile: f64) -> f64 {
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "few"
    )]
    let place = (quantile * delays.len() as f64).ceil() as usize;
    delays[place.max(1) - 1].as_secs_f64() * 1_000.0
}

/// Whether each percentile is within 2 % or 1 ms of what the server recorded. A request's latency counts from when it was
/// due, so it may be longer by what the tester was late, as it recorded itself: on a busy machine by many milliseconds.
fn is_right(report: &TesterReport, tally: &Tally, delays: &Delays) -> Result<(), String> {
    let mut delays = delays.lock().unwrap().clone();
    delays.sort();
    let latency = report.latency_ms.expect("answers");
    for (name, told, q) in
        [("p50", latency.p50, 0.5), ("p99", latency.p99, 0.99), ("p99.9", latency.p999, 0.999)]
    {
        let was = quantile(&delays, q);
        let late = Duration::from_micros(tally.lag.value_at_quantile(q)).as_secs_f64() * 1_000.0;
        let allowed = (was * 0.02).max(1.0);
        if told < was - allowed || told > was + late + allowed {
            return Err(format!("{name}: told {told} ms, was {was} ms, sent {late} ms late"));
        }
    }
    Ok(())
}

/// On a machine that is busy with other things a run may be late by itself; one in five must be right.
async fn comes_out_right(script: fn(Duration) -> Duration) -> TesterReport {
    let mut wrong = Vec::new();
    for _ in 0..5 {
        let (target, delays) = scripted(script).await;
        let (tally, report) = run(&plan(&target, "500", Duration::from_secs(4))).await;
        assert_eq!((report.ok, report.shed), (report.sent, 0), "{report:?}");
        match is_right(&report, &tally, &delays) {
            Ok(()) => return report,
            Err(what) => wrong.push(what),
        }
    }
    panic!("{wrong:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn percentiles_under_a_stall_are_those_that_the_server_recorded() {
    let _alone = ALONE.lock().await;
    let report = comes_out_right(stall).await;
    // A tenth of the requests waited 0 to 100 ms, evenly spread.
    assert!((report.latency_ms.unwrap().p99 - 90.0).abs() < 5.0, "{report:?}");
    assert!(report.latency_ms.unwrap().p50 < 20.0, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn percentiles_of_two_modes_are_those_that_the_server_recorded() {
    let _alone = ALONE.lock().await;
    comes_out_right(bimodal).await;
}

/// Why the tester is an open loop: who waits for each answer before asking again asks once in a stall.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_loop_does_not_see_the_stall() {
    let _alone = ALONE.lock().await;
    let (target, _) = scripted(stall).await;
    let client = Client::new(target.trim_end_matches('/'), Duration::from_secs(5));
    let request = Request {
        route: "GET /",
        method: Method::GET,
        path: "/".to_owned(),
        bearer: None,
        idempotency_key: None,
        body: Bytes::new(),
    };
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < Duration::from_secs(3) {
        let reply = client.send(&request).await;
        times.push(reply.ended - reply.sent);
    }
    times.sort();
    assert!(quantile(&times, 0.99) < 50.0, "p99 {} ms", quantile(&times, 0.99));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fast_errors_are_errors_of_their_kind() {
    let _alone = ALONE.lock().await;
    let answer = || async { (Status::SERVICE_UNAVAILABLE, "try again") };
    let target = serve(Router::new().route("/", get(answer))).await;
    let (tally, report) = run(&plan(&target, "200", Duration::from_secs(1))).await;
    assert_eq!((report.ok, report.errors["status 503"]), (0, report.sent));
    assert_eq!(tally.errors["status 503"].first, "try again");
    assert_eq!(report.latency_ms, None, "{report:?}");
    assert_eq!("errors<1%".parse::<Slo>().unwrap().unmet(&tally).len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_due_beyond_the_bound_is_shed_and_what_is_late_times_out() {
    let _alone = ALONE.lock().await;
    let (target, _) = scripted(|_| Duration::from_mins(1)).await;
    let mut plan = plan(&target, "100", Duration::from_secs(2));
    (plan.in_flight, plan.timeout) = (20, Duration::from_secs(1));
    let (tally, report) = run(&plan).await;
    // Twenty a second at most.
    assert!((20..=60).contains(&report.errors["timeout"]), "{report:?}");
    assert_eq!(tally.due, report.sent + report.shed);
    assert!((tally.errors_share() - 1.0).abs() < 1e-9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_warm_up_is_not_counted_and_a_stopped_run_tells_what_it_has() {
    let _alone = ALONE.lock().await;
    let (target, delays) = scripted(|_| Duration::ZERO).await;
    let mut plan = plan(&target, "200", Duration::from_mins(1));
    plan.warm_up = Duration::from_secs(1);
    let tester = Tester::start(&plan).unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    tester.stop();
    let elapsed = tester.elapsed();
    let (tally, _) = tokio::task::spawn_blocking(move || tester.finish()).await.unwrap();
    let report = TesterReport::new(&plan, &tally, elapsed);
    let served = delays.lock().unwrap().len();
    assert!(report.sent > 100 && served > 300, "{} of {served}", report.sent);
    assert!((report.target_rate - 200.0).abs() < 60.0, "{report:?}");
    assert!((report.duration_s - 1.0).abs() < 0.2, "{report:?}");
    assert!(tally.slowest.is_some());
}

/// A server that closes what rests is met again by another connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_closed_at_rest_is_no_error() {
    let _alone = ALONE.lock().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
            });
        }
    });
    let (tally, report) = run(&plan(&target, "50", Duration::from_secs(1))).await;
    assert_eq!(report.ok, report.sent, "{:?}", tally.errors);
}

#[tokio::test(flavor = "multi_thread")]
async fn testers_with_a_share_each_send_the_schedule_together() {
    let came = Arc::new(Mutex::new(Vec::new()));
    let kept = came.clone();
    let answer = move |body: String| {
        let kept = kept.clone();
        async move { kept.lock().unwrap().push(body) }
    };
    let base = serve(Router::new().route("/", axum::routing::post(answer))).await;
    let mut plan = plan(&base, "200", Duration::from_secs(1));
    let call = &mut plan.offers[0].calls[0];
    let target: Target = base.parse().unwrap();
    let kind = Kind::http(&target, Method::POST, HeaderMap::new(), Wanted::Success);
    call.kind = Arc::new(kind);
    call.body = Body::new(Bytes::from_static(b"#"), "#");
    let mut rates = 0.0;
    for part in 0..3 {
        plan.share = Share { part, of: 3 };
        rates += run(&plan).await.1.target_rate;
    }
    let mut came: Vec<u32> =
        came.lock().unwrap().iter().map(|body| body.parse().unwrap()).collect();
    came.sort_unstable();
    let whole = u32::try_from(came.len()).unwrap();
    assert_eq!(came, (0..whole).collect::<Vec<_>>(), "each once");
    let whole = f64::from(whole);
    // Each run is over with its last request, a little before the second is.
    assert!(whole > 100.0 && (rates / whole - 1.0).abs() < 0.1, "{rates} of {whole}");
}
