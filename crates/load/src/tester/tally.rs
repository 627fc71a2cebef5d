//! What was counted.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

/// Microseconds; an hour is beyond any time-out.
pub(super) const LONGEST: u64 = 3_600_000_000;

/// Counts of a worker, or of several. Times are in microseconds, to three significant digits.
#[derive(Debug, Clone)]
pub struct Tally {
    /// Requests that were to be sent; all others here are a part of them.
    pub due: u64,
    /// Requests that never left, because too many were in flight.
    pub shed: u64,
    /// Those that got the answer that was wanted.
    pub ok: u64,
    /// The others, by kind.
    pub errors: BTreeMap<String, Failed>,
    /// Of those that got the answer that was wanted: from when each was due.
    pub latency: Histogram<u64>,
    /// Of the same: from when each left.
    pub service: Histogram<u64>,
    /// Of all: how long after it was due each left, or was shed.
    pub lag: Histogram<u64>,
    /// The slowest request with a `traceparent`, and its trace.
    pub slowest: Option<(Duration, u128)>,
    /// When the last of those that were sent ended, since the run began.
    pub ended: Duration,
    /// What the tester's busiest thread took of the processor.
    pub processor: Duration,
    /// The same by the plan's offers, in their order.
    pub offers: Vec<Count>,
}

/// What became of one kind of call.
#[derive(Debug, Clone)]
pub struct Count {
    pub due: u64,
    pub ok: u64,
    /// Failed or shed.
    pub bad: u64,
    /// As [`Tally::latency`], to two significant digits.
    pub latency: Histogram<u64>,
}

impl Default for Count {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, LONGEST, 2).expect("these bounds are valid");
        Self { due: 0, ok: 0, bad: 0, latency }
    }
}

/// One kind of error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    pub count: u64,
    /// What the first of them said.
    pub first: String,
}

impl Default for Tally {
    fn default() -> Self {
        let empty = || Histogram::new_with_bounds(1, LONGEST, 3).expect("these bounds are valid");
        Self {
            due: 0,
            shed: 0,
            ok: 0,
            errors: BTreeMap::new(),
            latency: empty(),
            service: empty(),
            lag: empty(),
            slowest: None,
            ended: Duration::ZERO,
            processor: Duration::ZERO,
            offers: Vec::new(),
        }
    }
}

impl Tally {
    /// Requests that left and of which it is known what became of them.
    pub fn sent(&self) -> u64 {
        self.ok + self.failed_sent()
    }

    fn failed_sent(&self) -> u64 {
        self.errors.values().map(|failed| failed.count).sum()
    }

    /// The share of requests that were shed or failed, 0 to 1.
    pub fn errors_share(&self) -> f64 {
        let bad = self.shed + self.failed_sent();
        if bad == 0 { 0.0 } else { count(bad) / count(bad + self.ok) }
    }

    pub fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.shed += other.shed;
        self.ok += other.ok;
        for (kind, failed) in &other.errors {
            let sum = self
                .errors
                .entry(kind.clone())
                .or_insert_with(|| Failed { count: 0, first: failed.first.clone() });
            sum.count += failed.count;
        }
        for (sum, other) in [
            (&mut self.latency, &other.latency),
            (&mut self.service, &other.service),
            (&mut self.lag, &other.lag),
        ] {
            sum.add(other).expect("all have the same bounds");
        }
        self.slowest = self.slowest.max(other.slowest);
        self.ended = self.ended.max(other.ended);
        self.processor = self.processor.max(other.processor);
        for (place, of_other) in other.offers.iter().enumerate() {
            let sum = self.offer(place);
            sum.due += of_other.due;
            sum.ok += of_other.ok;
            sum.bad += of_other.bad;
            sum.latency.add(&of_other.latency).expect("all have the same bounds");
        }
    }

    fn offer(&mut self, place: usize) -> &mut Count {
        if self.offers.len() <= place {
            self.offers.resize_with(place + 1, Count::default);
        }
        &mut self.offers[place]
    }

    pub(super) fn due(&mut self, offer: usize, lag: Duration) {
        self.due += 1;
        self.offer(offer).due += 1;
        record(&mut self.lag, lag);
    }

    pub(super) fn shed(&mut self, offer: usize) {
        self.shed += 1;
        self.offer(offer).bad += 1;
    }

    pub(super) fn ok(&mut self, offer: usize, latency: Duration, service: Duration) {
        self.ok += 1;
        record(&mut self.latency, latency);
        record(&mut self.service, service);
        let of_offer = self.offer(offer);
        of_offer.ok += 1;
        record(&mut of_offer.latency, latency);
    }

    pub(super) fn failed(&mut self, offer: usize, kind: &str, text: impl FnOnce() -> String) {
        self.offer(offer).bad += 1;
        match self.errors.get_mut(kind) {
            Some(failed) => failed.count += 1,
            None => {
                self.errors.insert(kind.to_owned(), Failed { count: 1, first: text() });
            }
        }
    }

    /// What left and was not waited for to its end is an error too, or the slowest requests would be left out.
    pub fn abandon(&mut self, why: &str) {
        let mut left = 0;
        for offer in &mut self.offers {
            let of_offer = offer.due.saturating_sub(offer.ok + offer.bad);
            offer.bad += of_offer;
            left += of_offer;
        }
        if left > 0 {
            let abandoned = Failed { count: 0, first: why.to_owned() };
            self.errors.entry("abandoned".to_owned()).or_insert(abandoned).count += left;
        }
    }

    pub(super) fn traced(&mut self, latency: Duration, trace: u128) {
        self.slowest = self.slowest.max(Some((latency, trace)));
    }
}

fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(LONGEST));
}

#[expect(clippy::cast_precision_loss, reason = "fewer requests than 2^52")]
pub(super) fn count(number: u64) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tallies_add_up_and_the_slowest_trace_is_kept() {
        let ms = Duration::from_millis;
        let (mut one, mut other) = (Tally::default(), Tally::default());
        one.due(0, ms(0));
        one.ok(0, ms(10), ms(9));
        one.traced(ms(10), 1);
        one.shed(0);
        other.failed(1, "timeout", || "first".to_owned());
        other.failed(1, "timeout", || "second".to_owned());
        other.ok(0, ms(30), ms(9));
        other.traced(ms(30), 2);
        one.add(&other);
        assert_eq!((one.due, one.ok, one.shed, one.sent()), (1, 2, 1, 4));
        assert_eq!(one.errors["timeout"], Failed { count: 2, first: "first".to_owned() });
        assert!((one.errors_share() - 0.6).abs() < 1e-9);
        assert_eq!(one.slowest, Some((ms(30), 2)));
        assert_eq!(one.latency.max() / 1_000, 30);
        one.due(1, ms(0));
        one.due(1, ms(0));
        one.due(1, ms(0));
        one.abandon("it was over");
        assert_eq!(one.errors["abandoned"], Failed { count: 1, first: "it was over".to_owned() });
        let offers: Vec<_> = one.offers.iter().map(|of| (of.due, of.ok, of.bad)).collect();
        assert_eq!(offers, [(1, 2, 1), (3, 0, 3)]);
    }
}
