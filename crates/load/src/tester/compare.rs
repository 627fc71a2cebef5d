//! Two runs held against each other: what changed, and whether it is more than noise.
//!
//! A quantile of n requests lies with 99 % between the values at the ranks n·q ± 2.576·√(n·q·(1−q)), whatever the
//! distribution is (order statistics; Conover, Practical Nonparametric Statistics, §3.2); a share of errors within
//! Wilson's interval at the same level. Two figures differ by more than noise when their intervals have nothing in
//! common and they differ by more than a least ratio, for requests of one run are not independent of each other, and
//! runs on a machine that is shared differ by more than a run tells.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::{report::Report, tally::count};

/// Standard deviations that hold 99 % of a normal distribution.
const SIGMAS: f64 = 2.576;

/// Figure by figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    pub figures: Vec<Figure>,
}

/// One figure of both runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figure {
    pub name: String,
    pub unit: &'static str,
    pub a: Measured,
    pub b: Measured,
    pub judged: Judged,
}

/// A value, and where it lies with 99 %.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Measured {
    pub value: f64,
    pub low: f64,
    /// None if the requests were too few to tell.
    pub high: Option<f64>,
}

/// What B is beside A.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    Better,
    Worse,
    /// No more different than noise makes it.
    Same,
    /// It would be more, but of the lower one requests were too few to tell where it ends.
    Unknown,
}

impl Comparison {
    /// Of latencies at their percentiles and of errors; a difference below `least` (0.05 is 5 %) is noise. Fails if a
    /// histogram is damaged.
    pub fn of(a: &Report, b: &Report, least: f64) -> Result<Self, String> {
        let (of_a, of_b) = (a.latencies()?, b.latencies()?);
        let mut figures = Vec::new();
        if !of_a.is_empty() && !of_b.is_empty() {
            for (name, q) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
                let (a, b) = (quantile(&of_a, q), quantile(&of_b, q));
                figures.push(Figure::new(name, "ms", a, b, least));
            }
        }
        figures.push(Figure::new("errors", "%", errors(a), errors(b), least));
        Ok(Self { figures })
    }

    /// Something is worse by more than noise.
    pub fn is_worse(&self) -> bool {
        self.figures.iter().any(|figure| figure.judged == Judged::Worse)
    }
}

impl Figure {
    fn new(name: &str, unit: &'static str, a: Measured, b: Measured, least: f64) -> Self {
        let apart = |low: Measured, high: Measured| {
            let bound = low.high.is_some_and(|bound| bound < high.low);
            bound && high.value > low.value * (1.0 + least)
        };
        let (low, high) = if a.value < b.value { (a, b) } else { (b, a) };
        let too_few = low.high.is_none() && high.value > low.value * (1.0 + least);
        let judged = if too_few {
            Judged::Unknown
        } else if apart(a, b) {
            Judged::Worse
        } else if apart(b, a) {
            Judged::Better
        } else {
            Judged::Same
        };
        Self { name: name.to_owned(), unit, a, b, judged }
    }
}

fn quantile(times: &Histogram<u64>, q: f64) -> Measured {
    let requests = count(times.len());
    let off = SIGMAS * (requests * q * (1.0 - q)).sqrt();
    let at = |rank: f64| count(times.value_at_quantile((rank / requests).clamp(0.0, 1.0))) / 1e3;
    let middle = requests * q;
    let upper = (middle + off).ceil();
    Measured {
        value: at(middle),
        low: at((middle - off).floor()),
        high: (upper <= requests).then(|| at(upper)),
    }
}

/// Percent of all that were to be sent and ended, those that were shed included; Wilson's interval
/// (<https://doi.org/10.1080/01621459.1927.10502953>).
fn errors(report: &Report) -> Measured {
    let bad = count(report.sent - report.ok + report.shed);
    let all = count(report.sent + report.shed);
    if all == 0.0 {
        return Measured { value: 0.0, low: 0.0, high: Some(100.0) };
    }
    let (share, square) = (bad / all, SIGMAS * SIGMAS);
    let middle = (share + square / (2.0 * all)) / (1.0 + square / all);
    let off = SIGMAS * (share * (1.0 - share) / all + square / (4.0 * all * all)).sqrt()
        / (1.0 + square / all);
    let percent = |share: f64| share.clamp(0.0, 1.0) * 100.0;
    Measured {
        value: percent(share),
        low: percent(middle - off),
        high: Some(percent(middle + off)),
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    fn times(random: &mut StdRng, mean: f64, n: u32) -> Histogram<u64> {
        let mut times = Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("bounds");
        for _ in 0..n {
            let time = -(1.0 - random.random::<f64>()).ln() * mean;
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
            times.saturating_record(time as u64);
        }
        times
    }

    fn judged(a: &Histogram<u64>, b: &Histogram<u64>) -> Judged {
        Figure::new("p50", "ms", quantile(a, 0.5), quantile(b, 0.5), 0.05).judged
    }

    #[test]
    fn the_same_is_the_same_and_a_fifth_more_is_worse() {
        let mut random = StdRng::seed_from_u64(7);
        let a = times(&mut random, 10_000.0, 5_000);
        let worse = times(&mut random, 12_000.0, 5_000);
        for _ in 0..50 {
            let again = times(&mut random, 10_000.0, 5_000);
            assert_eq!(judged(&a, &again), Judged::Same);
        }
        assert_eq!(judged(&a, &worse), Judged::Worse);
        assert_eq!(judged(&worse, &a), Judged::Better);
        let few = times(&mut random, 12_000.0, 50);
        assert_eq!(judged(&a, &few), Judged::Same, "fifty requests do not tell");
    }

    #[test]
    fn few_requests_bound_no_high_percentile() {
        let mut random = StdRng::seed_from_u64(7);
        let few = quantile(&times(&mut random, 10_000.0, 600), 0.99);
        assert_eq!(few.high, None);
        let far = quantile(&times(&mut random, 90_000.0, 600), 0.99);
        assert_eq!(Figure::new("p99", "ms", few, far, 0.05).judged, Judged::Unknown);
        assert_eq!(Figure::new("p99", "ms", far, few, 0.05).judged, Judged::Unknown);
        assert_eq!(Figure::new("p99", "ms", few, few, 0.05).judged, Judged::Same);
        assert!(quantile(&times(&mut random, 10_000.0, 700), 0.99).high.is_some());
    }

    #[test]
    fn the_interval_of_a_quantile_holds_it() {
        let mut random = StdRng::seed_from_u64(7);
        // Of an exponential distribution the 99th percentile is ln 100 times the mean.
        let p99 = 100.0_f64.ln() * 10.0;
        let held = (0..300).filter(|_| {
            let Measured { low, high, .. } = quantile(&times(&mut random, 10_000.0, 3_000), 0.99);
            low <= p99 * 1.002 && high.is_some_and(|high| p99 * 0.998 <= high)
        });
        assert!(held.count() >= 290);
    }
}
