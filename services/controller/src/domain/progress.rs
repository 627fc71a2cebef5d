//! How far a stream is, and how long it will take; kept in memory by the controller that runs it.

use std::time::{Duration, Instant};

/// What a follower has done.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    pub lag: Duration,
    pub rows_copied: u64,
    pub rows_total: u64,
    /// Until copied or verified, at the measured rate; zero when there is nothing to wait for.
    pub eta: Duration,
    /// What the last rounds failed with, if they did.
    pub trouble: String,
    /// When the last round had ended, or when the move was taken in hand.
    pub round_at: Option<Instant>,
    pace: Option<Pace>,
}

/// The rate of the pass that is under way, from its first round on.
#[derive(Debug, Clone, Copy)]
struct Pace {
    since: Instant,
    first: u64,
}

impl Progress {
    /// `done` of `total` rows of the present pass are done; `total` 0 when no pass is under way.
    pub fn pass(&mut self, done: u64, total: u64, now: Instant) {
        if total == 0 || done >= total {
            self.pace = None;
            self.eta = Duration::ZERO;
            return;
        }
        let pace = match self.pace {
            Some(pace) if pace.first <= done => pace,
            _ => Pace { since: now, first: done },
        };
        self.pace = Some(pace);
        self.eta = remaining(now - pace.since, done - pace.first, total - done);
    }
}

#[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
fn remaining(elapsed: Duration, done: u64, left: u64) -> Duration {
    if done == 0 {
        return Duration::ZERO;
    }
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * left as f64 / done as f64)
        .unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_left_follows_the_measured_rate() {
        let start = Instant::now();
        let mut progress = Progress::default();
        progress.pass(100, 1_100, start);
        assert_eq!(progress.eta, Duration::ZERO);
        progress.pass(300, 1_100, start + Duration::from_secs(2));
        assert_eq!(progress.eta, Duration::from_secs(8));
        progress.pass(1_100, 1_100, start + Duration::from_secs(9));
        assert_eq!(progress.eta, Duration::ZERO);
    }
}
