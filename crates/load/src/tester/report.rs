//! What is told of a run, and stays as it is once told.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Serializer as _, V2Serializer},
};
use serde::Serialize;

use super::{
    Plan,
    tally::{Tally, count},
};

/// The tester was late itself beyond this, at its 99th percentile: then it was measured instead of the target.
const LATE: Duration = Duration::from_millis(10);
/// A thread of the tester took more of a processor than this.
const BUSY: f64 = 0.9;

/// A run's figures.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    pub target: String,
    /// Requests a second that were due, and that were sent and ended.
    pub target_rate: f64,
    pub achieved_rate: f64,
    /// Without the warm-up.
    pub duration_s: f64,
    pub sent: u64,
    pub ok: u64,
    pub shed: u64,
    pub errors: BTreeMap<String, u64>,
    /// From when a request was due; of those that were answered as wanted.
    pub latency_ms: Milliseconds,
    /// From when it left.
    pub service_ms: Milliseconds,
    /// The latencies in microseconds, `HdrHistogram` V2, base64.
    pub histogram: String,
    pub void: bool,
    pub why_void: Option<Void>,
}

/// Why a run says nothing of its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Void(pub String);

/// Percentiles of a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Milliseconds {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Report {
    /// `elapsed` since the run began.
    pub fn new(plan: &Plan, tally: &Tally, elapsed: Duration) -> Self {
        let counted = elapsed.min(plan.length).saturating_sub(plan.warm_up).as_secs_f64();
        let a_second = |number: u64| if counted > 0.0 { count(number) / counted } else { 0.0 };
        let why_void = void(plan, tally, elapsed);
        let kinds = tally.errors.iter().map(|(kind, failed)| (kind.clone(), failed.count));
        Self {
            target: plan.target.to_string(),
            target_rate: a_second(tally.due),
            achieved_rate: a_second(tally.sent()),
            duration_s: counted,
            sent: tally.sent(),
            ok: tally.ok,
            shed: tally.shed,
            errors: kinds.collect(),
            latency_ms: Milliseconds::of(&tally.latency),
            service_ms: Milliseconds::of(&tally.service),
            histogram: encoded(&tally.latency),
            void: why_void.is_some(),
            why_void,
        }
    }
}

impl Milliseconds {
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| count(histogram.value_at_quantile(quantile)) / 1_000.0;
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }
}

fn void(plan: &Plan, tally: &Tally, elapsed: Duration) -> Option<Void> {
    if tally.due == 0 {
        let why = "nothing was due after the warm-up; let it run for longer";
        return Some(Void(why.to_owned()));
    }
    let lag = Duration::from_micros(tally.lag.value_at_quantile(0.99));
    if lag > LATE {
        let why = "the tester was late by itself: one request in a hundred left";
        return Some(Void(format!("{why} {lag:?} or more after it was due")));
    }
    let busy = tally.processor.as_secs_f64() / elapsed.min(plan.length).as_secs_f64().max(1e-9);
    if busy > BUSY {
        let why = "of a processor was taken by a thread of the tester; give it more --threads";
        return Some(Void(format!("{:.0} % {why}", busy * 100.0)));
    }
    None
}

fn encoded(histogram: &Histogram<u64>) -> String {
    let mut bytes = Vec::new();
    V2Serializer::new().serialize(histogram, &mut bytes).expect("a vector takes all there is");
    STANDARD.encode(bytes)
}
