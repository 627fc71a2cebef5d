//! When requests are due: a rate over time and how arrivals lie in it, or what was recorded.

use std::{str::FromStr, sync::Arc, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde::{Deserialize, Serialize};

/// A rate over a run, linear between points. A point is a share of the run, 0 to 1, and requests a second there.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    points: Vec<(f64, f64)>,
}

/// When requests are due.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    Rate {
        shape: Shape,
        spacing: Spacing,
    },
    /// Since the run begins, in order.
    Recorded(Arc<[Duration]>),
}

impl Schedule {
    /// How many requests are asked for between two moments of a run of this length, however they come; none of what was
    /// recorded.
    pub(super) fn asked(&self, length: Duration, from: Duration, to: Duration) -> Option<f64> {
        match self {
            Self::Rate { shape, .. } => Some(shape.between(length, from, to)),
            Self::Recorded(_) => None,
        }
    }

    /// None of what was recorded.
    pub(super) fn spacing(&self) -> Option<Spacing> {
        match self {
            Self::Rate { spacing, .. } => Some(*spacing),
            Self::Recorded(_) => None,
        }
    }

    /// Everything that is due in a run of this length.
    pub(super) fn arrivals(
        &self,
        length: Duration,
        seed: u64,
    ) -> Box<dyn Iterator<Item = Duration> + '_> {
        match self {
            Self::Rate { shape, spacing } => Box::new(Arrivals::new(shape, length, *spacing, seed)),
            Self::Recorded(all) => Box::new(all.iter().copied().take_while(move |at| *at < length)),
        }
    }
}

/// How arrivals lie in a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spacing {
    /// One exactly when the rate has added up to one more.
    Even,
    /// Independent of each other, as many people's are: gaps are distributed exponentially.
    Poisson,
}

impl Shape {
    /// The same rate all along.
    pub fn constant(rate: f64) -> Self {
        Self { points: vec![(0.0, rate), (1.0, rate)] }
    }

    /// From one rate to another.
    pub fn ramp(from: f64, to: f64) -> Self {
        Self { points: vec![(0.0, from), (1.0, to)] }
    }

    /// One rate after the other, each as long.
    pub fn steps(rates: &[f64]) -> Self {
        let share = |step| count(step) / count(rates.len());
        let step = |(number, &rate)| [(share(number), rate), (share(number + 1), rate)];
        Self { points: rates.iter().enumerate().flat_map(step).collect() }
    }

    /// A rate that leaps to another for the middle fifth: the big game.
    pub fn spike(rate: f64, peak: f64) -> Self {
        Self {
            points: vec![
                (0.0, rate),
                (0.4, rate),
                (0.4, peak),
                (0.6, peak),
                (0.6, rate),
                (1.0, rate),
            ],
        }
    }

    /// Requests a second, if they are as many all along.
    pub fn constant_rate(&self) -> Option<f64> {
        let (_, rate) = *self.points.first()?;
        self.points.iter().all(|(_, other)| other.total_cmp(&rate).is_eq()).then_some(rate)
    }

    /// Requests a second on average.
    pub fn mean(&self) -> f64 {
        self.segments(1.0).map(|segment| segment.area()).sum()
    }

    fn between(&self, length: Duration, from: Duration, to: Duration) -> f64 {
        let (from, to) = (from.as_secs_f64(), to.as_secs_f64());
        self.segments(length.as_secs_f64()).map(|segment| segment.within(from, to).area()).sum()
    }

    /// Between two points in time, in seconds of a run that is `length` seconds long.
    fn segments(&self, length: f64) -> impl Iterator<Item = Segment> + '_ {
        self.points.windows(2).map(move |pair| {
            let [(from, start), (to, end)] = [pair[0], pair[1]];
            Segment { at: from * length, length: (to - from) * length, start, end }
        })
    }
}

/// `500`, `100..1000` (a ramp), `100,200,400` (steps) or `200^2000` (a spike).
impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((from, to)) = text.split_once("..") {
            return Ok(Self::ramp(rate(from, text)?, rate(to, text)?)).and_then(not_empty);
        }
        if let Some((base, peak)) = text.split_once('^') {
            return Ok(Self::spike(rate(base, text)?, rate(peak, text)?)).and_then(not_empty);
        }
        let rates: Result<Vec<_>, _> = text.split(',').map(|part| rate(part, text)).collect();
        not_empty(Self::steps(&rates?))
    }
}

/// More than any tester sends.
const MOST: f64 = 1e6;

fn rate(part: &str, text: &str) -> Result<f64, String> {
    let rate = part.trim().parse().ok().filter(|rate: &f64| (0.0..=MOST).contains(rate));
    rate.ok_or_else(|| {
        format!("\"{text}\" is no rate; say 500, 100..1000 (a ramp), 100,200 (steps) or 200^2000 (a spike), up to a million")
    })
}

fn not_empty(shape: Shape) -> Result<Shape, String> {
    if shape.mean() > 0.0 { Ok(shape) } else { Err("a rate of 0 sends nothing".to_owned()) }
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    at: f64,
    length: f64,
    start: f64,
    end: f64,
}

impl Segment {
    /// Arrivals in it.
    fn area(&self) -> f64 {
        f64::midpoint(self.start, self.end) * self.length
    }

    /// What of it lies between these seconds.
    fn within(&self, from: f64, to: f64) -> Self {
        let end = self.at + self.length;
        let (from, to) = (from.clamp(self.at, end), to.clamp(self.at, end));
        let leaps = self.length <= 0.0;
        let slope = if leaps { 0.0 } else { (self.end - self.start) / self.length };
        let rate = |at: f64| self.start + slope * (at - self.at);
        Self { at: from, length: (to - from).max(0.0), start: rate(from), end: rate(to) }
    }

    /// When the rate has added up to `arrivals` since it began: r·t + s·t²/2 = arrivals, solved for t without the
    /// difference of two large numbers.
    fn when(&self, arrivals: f64) -> f64 {
        let slope = (self.end - self.start) / self.length;
        let root = (self.start * self.start + 2.0 * slope * arrivals).max(0.0).sqrt();
        self.at + 2.0 * arrivals / (self.start + root).max(f64::MIN_POSITIVE)
    }
}

/// When each request is due, since the run began; endless only as the run is.
#[derive(Debug)]
pub struct Arrivals {
    segments: std::vec::IntoIter<Segment>,
    now: Option<Segment>,
    /// Arrivals before this segment, and those until the next one.
    before: f64,
    next: f64,
    spacing: Spacing,
    random: StdRng,
}

impl Arrivals {
    pub fn new(shape: &Shape, length: Duration, spacing: Spacing, seed: u64) -> Self {
        let segments: Vec<_> = shape.segments(length.as_secs_f64()).collect();
        let mut segments = segments.into_iter();
        let now = segments.next();
        let random = StdRng::seed_from_u64(seed);
        let mut arrivals = Self { segments, now, before: 0.0, next: 0.0, spacing, random };
        if spacing == Spacing::Poisson {
            arrivals.next = arrivals.gap();
        }
        arrivals
    }

    fn gap(&mut self) -> f64 {
        match self.spacing {
            Spacing::Even => 1.0,
            Spacing::Poisson => -(1.0 - self.random.random::<f64>()).ln(),
        }
    }
}

impl Iterator for Arrivals {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        loop {
            let segment = self.now?;
            let wanted = self.next - self.before;
            if wanted < segment.area() {
                self.next += self.gap();
                return Some(Duration::from_secs_f64(segment.when(wanted)));
            }
            self.before += segment.area();
            self.now = self.segments.next();
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "few steps")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: Duration = Duration::from_secs(10);

    fn due(shape: &str, spacing: Spacing) -> Vec<f64> {
        let shape = shape.parse().expect("a shape");
        Arrivals::new(&shape, RUN, spacing, 7).map(|due| due.as_secs_f64()).collect()
    }

    fn between(due: &[f64], from: f64, to: f64) -> usize {
        due.iter().filter(|&&at| at >= from && at < to).count()
    }

    #[test]
    fn a_constant_rate_is_evenly_spaced() {
        let due = due("100", Spacing::Even);
        assert_eq!(due.len(), 1_000);
        assert!(due.iter().enumerate().all(|(n, at)| (at - count(n) / 100.0).abs() < 1e-6));
    }

    #[test]
    fn a_rate_is_constant_or_it_is_not() {
        let constant = |text: &str| text.parse::<Shape>().expect("a shape").constant_rate();
        assert_eq!([constant("100"), constant("5,5")], [Some(100.0), Some(5.0)]);
        assert_eq!([constant("100..200"), constant("10^20"), constant("1,2")], [None; 3]);
    }

    #[test]
    fn what_is_asked_for_is_the_rate_whatever_comes_of_it() {
        let asked = |text: &str, from: u64, to: u64| {
            let shape: Shape = text.parse().expect("a shape");
            shape.between(RUN, Duration::from_secs(from), Duration::from_secs(to))
        };
        let all =
            [asked("50", 2, 10), asked("0..200", 0, 5), asked("10^1000", 3, 7), asked("1,3", 0, 9)];
        for (is, wanted) in all.into_iter().zip([400.0, 250.0, 2_020.0, 17.0]) {
            assert!((is - wanted).abs() < 1e-6, "{all:?}");
        }
    }

    #[test]
    fn a_ramp_has_a_quarter_in_its_first_half() {
        let due = due("0..200", Spacing::Even);
        assert_eq!((due.len(), between(&due, 0.0, 5.0)), (1_000, 250));
        assert!(due.is_sorted());
    }

    #[test]
    fn steps_and_a_spike_leap() {
        let steps = due("100,0,300", Spacing::Even);
        let third = 10.0 / 3.0;
        assert_eq!(steps.len(), 1_333 + 1);
        assert_eq!(between(&steps, third + 0.01, 2.0 * third - 0.01), 0);
        let spike = due("10^1000", Spacing::Even);
        assert_eq!((between(&spike, 4.0, 6.0), between(&spike, 0.0, 4.0)), (2_000, 40));
    }

    #[test]
    fn poisson_gaps_have_the_rate_s_mean_and_its_deviation() {
        let due = due("1000", Spacing::Poisson);
        let gaps: Vec<f64> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let mean = gaps.iter().sum::<f64>() / count(gaps.len());
        let deviation =
            (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count(gaps.len())).sqrt();
        assert!((mean - 0.001).abs() < 0.000_05, "{mean}");
        assert!((deviation - 0.001).abs() < 0.000_05, "{deviation}");
    }

    #[test]
    fn what_was_recorded_is_due_as_it_was_within_the_run() {
        let all: Vec<_> = [0, 5, 5, 9_999, 10_000].map(Duration::from_millis).into();
        let recorded = Schedule::Recorded(all.clone().into());
        assert_eq!(recorded.arrivals(RUN, 1).collect::<Vec<_>>(), all[..4]);
    }

    #[test]
    fn the_same_seed_gives_the_same_schedule() {
        assert_eq!(due("50", Spacing::Poisson), due("50", Spacing::Poisson));
    }

    #[test]
    fn what_is_no_rate_is_told_with_what_is() {
        for text in ["", "fast", "-1", "1..", "1,,2", "nan", "inf", "1e9"] {
            assert!(text.parse::<Shape>().expect_err(text).contains("100..1000"), "{text}");
        }
        assert!("0".parse::<Shape>().expect_err("0").contains("nothing"));
    }
}
