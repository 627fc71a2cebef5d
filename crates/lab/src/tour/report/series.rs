//! The load over time.

use std::time::Duration;

use ficus_load::Report;
use serde::Serialize;

use crate::scenario::{SIGN_UP, of_notifications};

/// One second of the load; latencies in milliseconds, from when a request was due.
#[derive(Debug, Serialize)]
pub struct Moment {
    /// Since the load began.
    pub second: usize,
    pub sent: u64,
    pub failed: u64,
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
    /// Absent where nobody signed up.
    pub sign_up_p50: Option<f64>,
    /// The slowest request to notifications in each quarter of the second; 0 where there was none.
    pub notifications_slowest: [f64; 4],
}

impl Moment {
    /// Every whole second of a load of this length.
    pub fn all(report: &Report, length: Duration) -> Vec<Self> {
        let seconds = usize::try_from(length.as_secs()).unwrap_or(usize::MAX);
        let seconds = report.seconds().into_iter().take(seconds).enumerate();
        seconds.map(|(second, summary)| Self::new(report, second, &summary)).collect()
    }

    fn new(report: &Report, second: usize, summary: &ficus_load::Summary) -> Self {
        let at = Duration::from_secs(second as u64);
        let sign_ups = report.route(SIGN_UP, at, at);
        let quarters = [0, 250, 500, 750].map(|part| at + Duration::from_millis(part));
        Self {
            second,
            sent: summary.sent,
            failed: summary.failed,
            p50: summary.latency.p50,
            p99: summary.latency.p99,
            max: summary.latency.max,
            sign_up_p50: (sign_ups.sent > 0).then_some(sign_ups.latency.p50),
            notifications_slowest: quarters
                .map(|quarter| report.slowest(quarter, quarter, of_notifications)),
        }
    }
}
