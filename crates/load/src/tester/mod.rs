//! Load on one target or on a mix of calls, by as many threads as asked for, none of which waits for another.
//!
//! ```text
//! arrivals ─► worker (one a thread) ─► mix draws a call ─► lines (connections) ─► its check ─► tally ─┐
//!     └─────► worker …                                                                         tally ─┴─► report
//! ```
//!
//! Every worker makes the whole schedule by itself and takes its share of it, so nothing passes between threads for a
//! request: no lock, no channel. Four times a second each hands over what it has counted. Testers that run side by side
//! share a schedule in the same way.

mod arrivals;
mod call;
mod compare;
mod dial;
mod frame;
mod http1;
mod http2;
mod line;
mod mix;
mod report;
mod series;
mod share;
mod slo;
mod spoken;
mod tally;
mod target;
mod timer;
mod worker;

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

pub use arrivals::{Arrivals, Schedule, Shape, Spacing};
pub use call::{Body, Call, Check, Kind, Wanted, messages};
pub use compare::{Comparison, Figure, Judged, Measured};
pub use dial::{DialError, Dialer, Stream};
pub use mix::Offer;
pub use report::{CallReport, Milliseconds, Report as TesterReport, Void};
pub use series::{Second, Series};
pub use share::Share;
pub use slo::{Slo, Unmet};
pub use tally::{Failed, Tally};
pub use target::{Protocol, Server, Target};

pub(crate) use timer::Timer;
use worker::Worker;

/// What is sent, and how.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What reports call the target.
    pub name: String,
    /// What is sent; one of these at least.
    pub offers: Vec<Offer>,
    pub schedule: Schedule,
    /// All of it, the warm-up included.
    pub length: Duration,
    /// What is due in it is sent but not counted.
    pub warm_up: Duration,
    /// The same seed gives the same schedule.
    pub seed: u64,
    /// Each has a processor's worth of requests, its own connections and its own counts.
    pub threads: u32,
    /// Of each thread; HTTP/2 only. Of HTTP/1.1 there are as many as there are requests in flight.
    pub connections: u32,
    /// Requests in flight at most; one that is due beyond that is shed.
    pub in_flight: u32,
    /// How long an answer is waited for.
    pub timeout: Duration,
    /// The share of requests that carry a sampled `traceparent`, 0 to 1.
    pub traced: f64,
    /// Of the numbers that bodies have a place for, the first one's.
    pub first_number: u64,
    /// Trace ids are made of it; another one in each run, or two runs have traces in common.
    pub traces: u64,
    /// What of the schedule is this tester's.
    pub share: Share,
    pub dialer: Dialer,
}

/// A run that is under way. Dropped, it sends nothing more.
#[derive(Debug)]
pub struct Tester {
    begun: Instant,
    stop: CancellationToken,
    workers: Vec<JoinHandle<()>>,
    shared: Vec<Arc<Shared>>,
}

/// What a worker shows to others.
#[derive(Debug, Default)]
struct Shared {
    tally: Mutex<Tally>,
    series: Mutex<Series>,
    in_flight: AtomicU32,
}

impl Tester {
    /// Begins to send. Fails if the system gives no threads.
    pub fn start(plan: &Plan) -> io::Result<Self> {
        let plan = Arc::new(plan.clone());
        let stop = CancellationToken::new();
        let mut tester = Self {
            begun: Instant::now(),
            stop: stop.clone(),
            workers: Vec::new(),
            shared: Vec::new(),
        };
        for number in 0..plan.threads.max(1) {
            let shared = Arc::new(Shared::default());
            let worker = Worker {
                number,
                begun: tester.begun,
                plan: plan.clone(),
                stop: stop.clone(),
                shared: shared.clone(),
            };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new().name(format!("load-{number}"));
            tester.workers.push(thread.spawn(move || worker.run(&runtime))?);
            tester.shared.push(shared);
        }
        Ok(tester)
    }

    /// Since the first request was due.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// All have sent what was due, and heard of it.
    pub fn is_over(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }

    /// Requests in flight now.
    pub fn in_flight(&self) -> u32 {
        self.shared.iter().map(|shared| shared.in_flight.load(Ordering::Relaxed)).sum()
    }

    /// What was counted so far; up to a quarter of a second old.
    pub fn look(&self) -> Tally {
        let mut sum = Tally::default();
        for shared in &self.shared {
            sum.add(&shared.tally.lock().unwrap_or_else(PoisonError::into_inner));
        }
        sum
    }

    /// The same by the second.
    pub fn series(&self) -> Series {
        let mut sum = Series::default();
        for shared in &self.shared {
            let of_one = shared.series.lock().unwrap_or_else(PoisonError::into_inner);
            sum.take(&mut of_one.clone());
        }
        sum
    }

    /// Nothing more is sent; what is in flight is waited for.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it is over; what was counted, and when.
    pub fn finish(mut self) -> (Tally, Series) {
        for worker in std::mem::take(&mut self.workers) {
            // One that panicked has shown what it had counted.
            let _ = worker.join();
        }
        (self.look(), self.series())
    }
}

impl Drop for Tester {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
