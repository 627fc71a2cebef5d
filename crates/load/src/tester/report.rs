//! What is told of a run, and stays as it is once told.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hdrhistogram::{
    Histogram,
    serialization::{Deserializer, Serializer as _, V2Serializer},
};
use serde::{Deserialize, Serialize};

use super::{
    Offer, Plan, Share, Spacing,
    tally::{Count, Tally, count},
};

/// The tester was late itself beyond this, at its 99th percentile: then it was measured instead of the target.
const LATE: Duration = Duration::from_millis(10);
/// A thread of the tester took more of a processor than this.
const BUSY: f64 = 0.9;

/// A run's figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub target: String,
    /// Requests a second that were asked for; those that came by chance may be more or fewer.
    pub target_rate: f64,
    /// Those that were sent, until the last of them had ended: a target that cannot keep up has fewer.
    pub achieved_rate: f64,
    /// Without the warm-up.
    pub duration_s: f64,
    pub sent: u64,
    pub ok: u64,
    pub shed: u64,
    pub errors: BTreeMap<String, u64>,
    /// From when a request was due; of those that were answered as wanted, none if none was.
    pub latency_ms: Option<Milliseconds>,
    /// From when it left.
    pub service_ms: Option<Milliseconds>,
    /// The latencies in microseconds, `HdrHistogram` V2, base64.
    pub histogram: String,
    /// The same of service times.
    pub service_histogram: String,
    /// Each kind of call; of a mix only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calls: Vec<CallReport>,
    pub void: bool,
    pub why_void: Option<Void>,
    /// What of its schedule this tester sent.
    #[serde(default)]
    pub share: Share,
    /// How requests lay in the rate; none of what was recorded.
    #[serde(default)]
    pub spacing: Option<Spacing>,
}

/// The figures of one kind of call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallReport {
    pub name: String,
    pub due: u64,
    pub ok: u64,
    /// Failed or shed.
    pub errors: u64,
    /// As [`Report::latency_ms`].
    pub latency_ms: Option<Milliseconds>,
    /// As [`Report::histogram`].
    pub histogram: String,
}

/// Why a run says nothing of its target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Void(pub String);

/// Percentiles of a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
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
        let until = elapsed.min(plan.length);
        let counted = until.saturating_sub(plan.warm_up).as_secs_f64();
        let took = counted.max(tally.ended.saturating_sub(plan.warm_up).as_secs_f64());
        let a_second = |number: f64, seconds| if seconds > 0.0 { number / seconds } else { 0.0 };
        let asked = plan.schedule.asked(plan.length, plan.warm_up, until);
        let asked = asked.map_or(count(tally.due), |all| all / f64::from(plan.share.of));
        let why_void = void(plan, tally, elapsed);
        let kinds = tally.errors.iter().map(|(kind, failed)| (kind.clone(), failed.count));
        Self {
            target: plan.name.clone(),
            target_rate: a_second(asked, counted),
            achieved_rate: a_second(count(tally.sent()), took),
            duration_s: counted,
            sent: tally.sent(),
            ok: tally.ok,
            shed: tally.shed,
            errors: kinds.collect(),
            latency_ms: Milliseconds::known(&tally.latency),
            service_ms: Milliseconds::known(&tally.service),
            histogram: encoded(&tally.latency),
            service_histogram: encoded(&tally.service),
            calls: calls(plan, tally),
            void: why_void.is_some(),
            why_void,
            share: plan.share,
            spacing: plan.schedule.spacing(),
        }
    }

    /// What testers that ran side by side saw together. Fails if they had not the same target, or if a histogram is
    /// damaged.
    pub fn merged(reports: &[Self]) -> Result<Self, String> {
        let [first, others @ ..] = reports else { return Err("no report".to_owned()) };
        let mut sum = first.clone();
        let (mut latency, mut service) = (first.latencies()?, first.service_times()?);
        let mut calls: BTreeMap<_, _> = BTreeMap::new();
        for call in &first.calls {
            calls.insert(call.name.clone(), (call.clone(), decoded(&call.histogram)?));
        }
        for other in others {
            if other.target != first.target {
                return Err(format!(
                    "{} and {} are not the same target",
                    first.target, other.target
                ));
            }
            sum.target_rate += other.target_rate;
            sum.achieved_rate += other.achieved_rate;
            sum.duration_s = sum.duration_s.max(other.duration_s);
            sum.sent += other.sent;
            sum.ok += other.ok;
            sum.shed += other.shed;
            for (kind, number) in &other.errors {
                *sum.errors.entry(kind.clone()).or_default() += number;
            }
            add(&mut latency, &other.latencies()?)?;
            add(&mut service, &other.service_times()?)?;
            for call in &other.calls {
                let of_other = decoded(&call.histogram)?;
                let Some((known, times)) = calls.get_mut(&call.name) else {
                    calls.insert(call.name.clone(), (call.clone(), of_other));
                    continue;
                };
                known.due += call.due;
                known.ok += call.ok;
                known.errors += call.errors;
                add(times, &of_other)?;
            }
            sum.why_void = sum.why_void.or_else(|| other.why_void.clone());
        }
        sum.void = sum.why_void.is_some();
        sum.share = Share::default();
        (sum.latency_ms, sum.histogram) = (Milliseconds::known(&latency), encoded(&latency));
        (sum.service_ms, sum.service_histogram) =
            (Milliseconds::known(&service), encoded(&service));
        let longest = Milliseconds::of(&latency).max;
        let with_times = |(call, times): (CallReport, Histogram<u64>)| CallReport {
            latency_ms: Milliseconds::known(&times).map(|times| times.at_most(longest)),
            histogram: encoded(&times),
            ..call
        };
        sum.calls = calls.into_values().map(with_times).collect();
        Ok(sum)
    }

    /// The latencies in microseconds. Fails if they are damaged.
    pub fn latencies(&self) -> Result<Histogram<u64>, String> {
        decoded(&self.histogram)
    }

    fn service_times(&self) -> Result<Histogram<u64>, String> {
        decoded(&self.service_histogram)
    }
}

/// Of one kind of call there is nothing to tell that is not told of all.
fn calls(plan: &Plan, tally: &Tally) -> Vec<CallReport> {
    let none = Count::default();
    let longest = Milliseconds::of(&tally.latency).max;
    let of = |(place, offer): (usize, &Offer)| {
        let count = tally.offers.get(place).unwrap_or(&none);
        CallReport {
            name: offer.name.clone(),
            due: count.due,
            ok: count.ok,
            errors: count.bad,
            latency_ms: Milliseconds::known(&count.latency).map(|times| times.at_most(longest)),
            histogram: encoded(&count.latency),
        }
    };
    if plan.offers.len() < 2 {
        Vec::new()
    } else {
        plan.offers.iter().enumerate().map(of).collect()
    }
}

impl Milliseconds {
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |quantile| count(histogram.value_at_quantile(quantile)) / 1_000.0;
        Self { p50: at(0.5), p90: at(0.9), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }

    /// Nothing of nothing.
    fn known(histogram: &Histogram<u64>) -> Option<Self> {
        (!histogram.is_empty()).then(|| Self::of(histogram))
    }

    /// Of a histogram with fewer digits, whose times are rounded up further.
    fn at_most(self, longest: f64) -> Self {
        let [p50, p90, p99, p999, max] =
            [self.p50, self.p90, self.p99, self.p999, self.max].map(|time| time.min(longest));
        Self { p50, p90, p99, p999, max }
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

fn decoded(text: &str) -> Result<Histogram<u64>, String> {
    let bytes =
        STANDARD.decode(text).map_err(|error| format!("a histogram is damaged: {error}"))?;
    let histogram = Deserializer::new().deserialize(&mut &*bytes);
    histogram.map_err(|error| format!("a histogram is damaged: {error:?}"))
}

fn add(sum: &mut Histogram<u64>, other: &Histogram<u64>) -> Result<(), String> {
    sum.add(other).map_err(|error| format!("two histograms do not fit together: {error:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::super::{Dialer, Server};

    fn report(milliseconds: std::ops::Range<u64>, errors: u64) -> Report {
        let mut tally = Tally::default();
        for latency in milliseconds {
            let latency = Duration::from_millis(latency);
            tally.due(0, Duration::ZERO);
            tally.ok(0, latency, latency / 2);
        }
        for _ in 0..errors {
            tally.due(1, Duration::ZERO);
            tally.failed(1, "timeout", String::new);
        }
        let offer = |name: &str| Offer {
            name: name.to_owned(),
            weight: 1.0,
            server: Server::default(),
            calls: Vec::new(),
        };
        let plan = Plan {
            name: "shop/mix".to_owned(),
            offers: vec![offer("read"), offer("write")],
            schedule: super::super::Schedule::Recorded([].into()),
            length: Duration::from_secs(10),
            warm_up: Duration::ZERO,
            seed: 1,
            threads: 1,
            connections: 1,
            in_flight: 1,
            timeout: Duration::from_secs(1),
            traced: 0.0,
            traces: 1,
            first_number: 0,
            share: Share::default(),
            dialer: Dialer::new(None).expect("TLS"),
        };
        Report::new(&plan, &tally, Duration::from_secs(10))
    }

    #[test]
    fn what_was_written_is_read() {
        let report = report(1..50, 2);
        let written = serde_json::to_string(&report).expect("JSON");
        assert_eq!(serde_json::from_str::<Report>(&written).expect("a report"), report);
    }

    #[test]
    fn no_call_is_slower_than_the_slowest_request() {
        let report = report(1_000..1_001, 0);
        assert_eq!(report.calls[0].latency_ms, report.latency_ms);
    }

    #[test]
    fn reports_of_several_testers_are_as_one_that_saw_it_all() {
        let merged = Report::merged(&[report(1..50, 2), report(50..101, 1)]).expect("merged");
        let all = report(1..101, 3);
        assert_eq!(merged.latency_ms, all.latency_ms);
        assert_eq!(merged.service_ms, all.service_ms);
        assert_eq!((merged.sent, merged.ok, &merged.errors), (all.sent, all.ok, &all.errors));
        assert!((merged.target_rate - all.target_rate).abs() < 1e-9);
        assert_eq!(merged.calls, all.calls);
    }

    #[test]
    fn what_does_not_belong_together_is_not_merged() {
        let one = report(1..5, 0);
        let other = Report { target: "shop/cold".to_owned(), ..one.clone() };
        assert!(Report::merged(&[one.clone(), other]).expect_err("two").contains("shop/cold"));
        let damaged = Report { histogram: "AAAA".to_owned(), ..one.clone() };
        assert!(Report::merged(&[one, damaged]).expect_err("damaged").contains("damaged"));
        assert!(Report::merged(&[]).is_err());
    }
}
