//! What was counted: a histogram a second and route, summed up over any window, and the slowest request of
//! each quarter of a second.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Quarters of a second show a stop of some ten milliseconds that a whole second would hide.
const QUARTERS: u64 = 4;
/// How many different failures are kept as text.
const FAILURES_KEPT: usize = 50;

/// Latencies and counts of a run.
#[derive(Debug, Default)]
pub struct Report {
    seconds: BTreeMap<u64, BTreeMap<&'static str, Cell>>,
    /// The slowest latency from the intended start.
    quarters: BTreeMap<u64, BTreeMap<&'static str, Duration>>,
    failures: Vec<String>,
}

/// One request that was answered or given up.
#[derive(Debug)]
pub(crate) struct Sample {
    pub route: &'static str,
    /// When it was due, since the load began; its second is the bucket it counts in.
    pub due: Duration,
    pub latency: Duration,
    pub service: Duration,
    pub ok: bool,
    /// Any status below 500.
    pub answered: bool,
}

#[derive(Debug)]
struct Cell {
    due: u64,
    sent: u64,
    shed: u64,
    ok: u64,
    answered: u64,
    /// Microseconds from the intended start, two significant digits (1 %).
    latency: Histogram<u32>,
    /// Microseconds from the actual start.
    service: Histogram<u32>,
}

impl Default for Cell {
    fn default() -> Self {
        let empty = || Histogram::new(2).expect("2 is a valid number of digits");
        Self { due: 0, sent: 0, shed: 0, ok: 0, answered: 0, latency: empty(), service: empty() }
    }
}

/// Counts and percentiles of a window.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Requests that were to be sent, those without an answer yet included.
    pub due: u64,
    /// Requests that left and were answered or given up.
    pub sent: u64,
    /// Those that got the expected status.
    pub ok: u64,
    /// Those that got any status below 500.
    pub answered: u64,
    /// Those that got another than the expected one, none, or were shed.
    pub failed: u64,
    /// Requests that were due but never left, because too many were in flight.
    pub shed: u64,
    /// From the intended start.
    pub latency: Latency,
    /// From the actual start.
    pub service: Latency,
}

/// Milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

impl Report {
    /// A request is to be sent now.
    pub(crate) fn due(&mut self, route: &'static str, due: Duration) {
        self.cell(route, due).due += 1;
    }

    pub(crate) fn count(&mut self, sample: &Sample, failure: impl FnOnce() -> String) {
        let cell = self.cell(sample.route, sample.due);
        cell.sent += 1;
        cell.ok += u64::from(sample.ok);
        cell.answered += u64::from(sample.answered);
        record(&mut cell.latency, sample.latency);
        record(&mut cell.service, sample.service);
        let quarters = self.quarters.entry(quarter(sample.due)).or_default();
        let slowest = quarters.entry(sample.route).or_default();
        *slowest = (*slowest).max(sample.latency);
        if !sample.ok {
            let failure = failure();
            self.keep(sample.due, &failure);
        }
    }

    pub(crate) fn shed(&mut self, route: &'static str, due: Duration) {
        self.cell(route, due).shed += 1;
        self.keep(due, &format!("{route} shed: too many in flight"));
    }

    /// The first failures, each with the second it was due in.
    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    /// Sums up the seconds that `from..to` touches.
    pub fn window(&self, from: Duration, to: Duration) -> Summary {
        self.sum(from, to, |_| true)
    }

    /// Sums up one route over the seconds that `from..to` touches.
    pub fn route(&self, route: &str, from: Duration, to: Duration) -> Summary {
        self.sum(from, to, |name| name == route)
    }

    /// Sums up everything.
    pub fn total(&self) -> Summary {
        self.window(Duration::ZERO, Duration::MAX)
    }

    /// The latest second with a request; `None` without one.
    pub fn last_second(&self) -> Option<u64> {
        self.seconds.last_key_value().map(|(second, _)| *second)
    }

    /// Sums up each second from the first request on, seconds without one included.
    pub fn seconds(&self) -> Vec<Summary> {
        let end = self.last_second().map_or(0, |second| second + 1);
        let second = |second| Duration::from_secs(second);
        (0..end).map(|number| self.window(second(number), second(number))).collect()
    }

    /// The slowest request of some routes in the quarters of a second that `from..to` touches, in
    /// milliseconds; 0 if there was none.
    pub fn slowest(&self, from: Duration, to: Duration, wanted: impl Fn(&str) -> bool) -> f64 {
        let routes =
            self.quarters.range(quarter(from)..=quarter(to)).flat_map(|(_, routes)| routes);
        let wanted = routes.filter(|(route, _)| wanted(route)).map(|(_, latency)| *latency);
        wanted.max().unwrap_or_default().as_secs_f64() * 1_000.0
    }

    fn sum(&self, from: Duration, to: Duration, wanted: impl Fn(&str) -> bool) -> Summary {
        let mut sum = Cell::default();
        for cells in self.seconds.range(from.as_secs()..=to.as_secs()).map(|(_, cells)| cells) {
            for (_, cell) in cells.iter().filter(|(route, _)| wanted(route)) {
                sum.add(cell);
            }
        }
        sum.summary()
    }

    fn cell(&mut self, route: &'static str, due: Duration) -> &mut Cell {
        self.seconds.entry(due.as_secs()).or_default().entry(route).or_default()
    }

    fn keep(&mut self, due: Duration, failure: &str) {
        if self.failures.len() < FAILURES_KEPT {
            self.failures.push(format!("at {:.1} s: {failure}", due.as_secs_f64()));
        }
    }
}

impl Cell {
    fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.sent += other.sent;
        self.shed += other.shed;
        self.ok += other.ok;
        self.answered += other.answered;
        // Histograms that grow by themselves take any other in.
        self.latency.add(&other.latency).expect("a growing histogram takes any value");
        self.service.add(&other.service).expect("a growing histogram takes any value");
    }

    fn summary(&self) -> Summary {
        Summary {
            due: self.due,
            sent: self.sent,
            ok: self.ok,
            answered: self.answered,
            failed: self.sent - self.ok + self.shed,
            shed: self.shed,
            latency: latency(&self.latency),
            service: latency(&self.service),
        }
    }
}

fn quarter(due: Duration) -> u64 {
    due.as_secs() * QUARTERS + u64::from(due.subsec_millis()) * QUARTERS / 1_000
}

fn latency(histogram: &Histogram<u32>) -> Latency {
    let at = |quantile| milliseconds(histogram.value_at_quantile(quantile));
    Latency { p50: at(0.5), p99: at(0.99), max: milliseconds(histogram.max()) }
}

fn record(histogram: &mut Histogram<u32>, duration: Duration) {
    // An hour is beyond any time-out; without the bound a mistaken value would make the histogram huge.
    let microseconds = duration.min(Duration::from_hours(1)).as_micros();
    let microseconds = u64::try_from(microseconds).expect("an hour fits 64 bits");
    histogram.record(microseconds).expect("a growing histogram takes any value");
}

#[expect(clippy::cast_precision_loss, reason = "microseconds of a request are far below 2^52")]
fn milliseconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1_000.0
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Report, Sample};

    fn sample(due: u64, latency: u64, ok: bool) -> Sample {
        let latency = Duration::from_millis(latency);
        Sample {
            route: "a",
            due: Duration::from_millis(due),
            latency,
            service: latency,
            ok,
            answered: ok,
        }
    }

    #[test]
    fn a_window_is_the_seconds_it_touches() {
        let mut report = Report::default();
        for (due, latency) in [(900, 1), (1_100, 10), (1_900, 20), (2_100, 500)] {
            report.count(&sample(due, latency, true), String::new);
        }
        let window = report.window(Duration::from_millis(1_500), Duration::from_millis(1_600));
        assert_eq!(window.sent, 2);
        assert!((window.latency.max - 20.0).abs() < 0.4, "{window:?}");
        assert_eq!(report.total().sent, 4);
        assert_eq!(report.route("b", Duration::ZERO, Duration::MAX).sent, 0);
    }

    #[test]
    fn the_slowest_request_is_told_to_a_quarter_of_a_second() {
        let mut report = Report::default();
        for (due, latency) in [(1_000, 1), (1_260, 70), (1_490, 5), (1_750, 2)] {
            report.count(&sample(due, latency, true), String::new);
        }
        let at = Duration::from_millis;
        let slowest =
            [1_000, 1_250, 1_500, 1_750].map(|from| report.slowest(at(from), at(from), |_| true));
        assert_eq!(format!("{slowest:?}"), "[1.0, 70.0, 0.0, 2.0]");
        assert!(
            report.slowest(at(1_000), at(1_800), |route| route == "b") < 1.0,
            "another route's"
        );
    }

    #[test]
    fn a_second_without_a_request_counts_none() {
        let mut report = Report::default();
        report.count(&sample(500, 1, true), String::new);
        report.count(&sample(2_500, 1, true), String::new);
        let sent: Vec<_> = report.seconds().iter().map(|second| second.sent).collect();
        assert_eq!(sent, [1, 0, 1]);
    }

    #[test]
    fn what_was_shed_has_failed() {
        let mut report = Report::default();
        report.count(&sample(0, 1, true), String::new);
        report.count(&sample(0, 1, false), || "500".to_owned());
        report.shed("a", Duration::ZERO);
        let total = report.total();
        assert_eq!((total.sent, total.ok, total.failed, total.shed), (2, 1, 2, 1));
        assert_eq!(report.failures().len(), 2);
    }
}
