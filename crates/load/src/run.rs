//! The open loop: a schedule that does not wait for answers.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::report::Sample;
use crate::tester::{Arrivals, Shape, Spacing, Timer};
use crate::{Client, Planned, Report, Scenario};

/// Longer than anybody waits; whoever holds a [`Load`] ends it.
const ENDLESS: Duration = Duration::from_hours(24 * 365);

/// How hard, and how far behind it may get.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Requests a second, evenly spaced.
    pub rate: f64,
    /// Requests in flight at most; one that is due beyond that is shed and counts as failed.
    pub in_flight: u32,
    /// The same seed asks a scenario in the same way.
    pub seed: u64,
}

/// Load that is running. Dropped, it sends nothing more.
#[derive(Debug)]
pub struct Load {
    begun: Instant,
    report: Arc<Mutex<Report>>,
    stop: DropGuard,
    schedule: JoinHandle<()>,
}

impl Load {
    /// Begins to send. Fails if the system gives no timer.
    pub fn start<S: Scenario>(
        client: Client,
        scenario: Arc<Mutex<S>>,
        options: Options,
    ) -> io::Result<Self> {
        let timer = Timer::new()?;
        let begun = Instant::now();
        let report = Arc::new(Mutex::new(Report::default()));
        let stop = CancellationToken::new();
        let run = Run { begun, client, scenario, report: report.clone(), options };
        let schedule = tokio::spawn(run.until(timer, stop.clone()));
        Ok(Self { begun, report, stop: stop.drop_guard(), schedule })
    }

    /// When the load began.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Time since the load began, which windows of the report are named by.
    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Reads the report while the load goes on.
    pub fn with_report<T>(&self, read: impl FnOnce(&Report) -> T) -> T {
        read(&lock(&self.report))
    }

    /// Sends nothing more, waits for what is in flight and answers the report.
    pub async fn stop(self) -> Report {
        drop(self.stop);
        // The schedule panics only if the scenario did; the report is still what was counted.
        let _ = self.schedule.await;
        std::mem::take(&mut lock(&self.report))
    }
}

struct Run<S> {
    begun: Instant,
    client: Client,
    scenario: Arc<Mutex<S>>,
    report: Arc<Mutex<Report>>,
    options: Options,
}

impl<S: Scenario> Run<S> {
    async fn until(self, timer: Timer, stop: CancellationToken) {
        let permits = Arc::new(Semaphore::new(self.options.in_flight as usize));
        let mut random = StdRng::seed_from_u64(self.options.seed);
        let shape = Shape::constant(self.options.rate);
        for due in Arrivals::new(&shape, ENDLESS, Spacing::Even, self.options.seed) {
            tokio::select! {
                () = stop.cancelled() => break,
                // A timer that failed does not keep requests back.
                _ = timer.until(self.begun + due) => {}
            }
            let planned = lock(&self.scenario).next(&mut random);
            lock(&self.report).due(planned.request.route, due);
            match permits.clone().try_acquire_owned() {
                Ok(permit) => self.send(planned, due, permit),
                Err(_) => self.shed(planned, due),
            }
        }
        // Every permit is back: nothing is in flight.
        let _ = permits.acquire_many(self.options.in_flight).await;
    }

    fn send(
        &self,
        planned: Planned<S::Step>,
        due: Duration,
        permit: tokio::sync::OwnedSemaphorePermit,
    ) {
        let (client, scenario, report) =
            (self.client.clone(), self.scenario.clone(), self.report.clone());
        let intended = self.begun + due;
        tokio::spawn(async move {
            let Planned { request, expected, step } = planned;
            let reply = client.send(&request).await;
            let sample = Sample {
                route: request.route,
                due,
                latency: reply.ended.saturating_duration_since(intended),
                service: reply.ended.saturating_duration_since(reply.sent),
                ok: reply.status == Some(expected),
                answered: reply.status.is_some_and(|status| !status.is_server_error()),
            };
            lock(&report).count(&sample, || format!("{} answered {}", request.route, said(&reply)));
            lock(&scenario).answered(step, &reply);
            drop(permit);
        });
    }

    fn shed(&self, planned: Planned<S::Step>, due: Duration) {
        lock(&self.report).shed(planned.request.route, due);
        lock(&self.scenario).shed(planned.step);
    }
}

fn said(reply: &crate::Reply) -> String {
    match reply.status {
        Some(status) => format!("{status} {}", String::from_utf8_lossy(&reply.body)),
        None => reply.error.clone(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
