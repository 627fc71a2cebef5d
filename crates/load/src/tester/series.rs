//! What happened when: counts and latencies by the second in which requests were due.

use std::{collections::BTreeMap, time::Duration};

use hdrhistogram::Histogram;

use super::tally::LONGEST;

/// Seconds of a run, the warm-up included.
#[derive(Debug, Clone, Default)]
pub struct Series(BTreeMap<u64, Second>);

/// What became of the requests that were due in one second.
#[derive(Debug, Clone)]
pub struct Second {
    pub due: u64,
    pub shed: u64,
    pub ok: u64,
    pub failed: u64,
    /// Of those that were answered as wanted, in microseconds from when each was due; to one significant digit, so
    /// that an hour of seconds fits into a few megabytes.
    pub latency: Histogram<u32>,
}

impl Default for Second {
    fn default() -> Self {
        let latency = Histogram::new_with_bounds(1, LONGEST, 1).expect("these bounds are valid");
        Self { due: 0, shed: 0, ok: 0, failed: 0, latency }
    }
}

impl Series {
    /// Every second from the first on, those without a request too.
    pub fn seconds(&self) -> impl Iterator<Item = Second> + '_ {
        let end = self.0.last_key_value().map_or(0, |(last, _)| last + 1);
        (0..end).map(|second| self.0.get(&second).cloned().unwrap_or_default())
    }

    pub(super) fn at(&mut self, due: Duration) -> &mut Second {
        self.0.entry(due.as_secs()).or_default()
    }

    /// Takes another's counts in, and leaves it empty.
    pub(super) fn take(&mut self, other: &mut Self) {
        for (at, second) in std::mem::take(&mut other.0) {
            let sum = self.0.entry(at).or_default();
            sum.due += second.due;
            sum.shed += second.shed;
            sum.ok += second.ok;
            sum.failed += second.failed;
            sum.latency.add(second.latency).expect("all have the same bounds");
        }
    }
}

impl Second {
    pub(super) fn answered(&mut self, latency: Duration) {
        self.ok += 1;
        self.latency.saturating_record(u64::try_from(latency.as_micros()).unwrap_or(LONGEST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_add_up_and_none_is_left_out() {
        let (mut sum, mut recent) = (Series::default(), Series::default());
        for at in [Duration::from_millis(2_400), Duration::from_millis(2_900)] {
            recent.at(at).due += 1;
            recent.at(at).answered(Duration::from_millis(3));
            sum.take(&mut recent);
        }
        assert_eq!(recent.seconds().count(), 0);
        let seconds: Vec<_> = sum.seconds().map(|second| (second.due, second.ok)).collect();
        assert_eq!(seconds, [(0, 0), (0, 0), (2, 2)]);
        assert_eq!(sum.at(Duration::from_secs(2)).latency.len(), 2);
    }
}
