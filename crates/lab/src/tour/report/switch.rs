//! What is told of changes of owner.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use super::Windows;
use crate::tour::pages::Direction;

/// One change of owner.
#[derive(Debug, Default, Serialize)]
pub struct Switch {
    pub capability: &'static str,
    pub direction: &'static str,
    pub epoch: Option<i64>,
    pub at: Option<String>,
    /// `at`, since the load began.
    pub at_seconds: Option<f64>,
    pub pause_ms: Option<f64>,
    /// Of all requests while the command ran.
    pub slowest_ms: f64,
    /// Of those to notifications.
    pub slowest_notifications_ms: f64,
    /// Requests that the gateway held until the owner had changed; absent if it did not tell.
    pub held: Option<u64>,
    pub failed: u64,
}

/// What a write pause may take, in milliseconds; of a hundred one may take longer, and of twenty.
const LONGEST: f64 = 250.0;
/// Fewer switches say nothing of it.
const TELLING: usize = 20;

/// The write pauses of all switches together.
#[derive(Debug, Serialize)]
pub struct Pauses {
    pub switches: usize,
    /// Milliseconds, as the rest.
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
    /// The highest but for one in a hundred, or in twenty where there are fewer.
    #[serde(skip)]
    usual: f64,
    /// The slowest request of any kind during any of the switches.
    pub slowest_ms: f64,
    /// The slowest request to notifications.
    pub slowest_notifications_ms: f64,
}

impl Switch {
    pub fn new(direction: Direction, said: &Value, windows: &Windows, held: Option<u64>) -> Self {
        let switch = &said["switch"];
        Self {
            capability: "notifications",
            direction: direction.name(),
            epoch: switch["epoch"].as_i64(),
            at: switch["at"].as_str().map(str::to_owned),
            at_seconds: None,
            pause_ms: switch["pause_ms"].as_f64(),
            slowest_ms: windows.during.latency.max,
            slowest_notifications_ms: windows.slowest_of_notifications,
            held,
            failed: windows.during.failed,
        }
    }

    /// The same with its moment counted from when the load began.
    #[must_use]
    pub fn since(mut self, load_began: DateTime<Utc>) -> Self {
        let at = self.at.as_deref().and_then(|at| DateTime::parse_from_rfc3339(at).ok());
        self.at_seconds = at.map(|at| (at.to_utc() - load_began).as_seconds_f64());
        self
    }
}

impl Pauses {
    /// `None` without a switch whose pause is known.
    pub fn of(switches: &[Switch]) -> Option<Self> {
        let mut pauses: Vec<f64> = switches.iter().filter_map(|switch| switch.pause_ms).collect();
        pauses.sort_by(f64::total_cmp);
        let greatest = |of: fn(&Switch) -> f64| switches.iter().map(of).fold(0.0, f64::max);
        Some(Self {
            switches: pauses.len(),
            p50: nearest_rank(&pauses, 50)?,
            p99: nearest_rank(&pauses, 99)?,
            max: *pauses.last()?,
            usual: nearest_rank(&pauses, if pauses.len() < 100 { 95 } else { 99 })?,
            slowest_ms: greatest(|switch| switch.slowest_ms),
            slowest_notifications_ms: greatest(|switch| switch.slowest_notifications_ms),
        })
    }

    /// Whether writes stood still for longer than a switch may take; nothing is said of fewer than 20 switches.
    pub fn too_long(&self) -> bool {
        self.switches >= TELLING && self.usual > LONGEST
    }
}

/// The smallest value that so many percent of all do not exceed; with few values the 99th is the greatest.
pub fn nearest_rank(sorted: &[f64], percent: usize) -> Option<f64> {
    sorted.get((sorted.len() * percent).div_ceil(100).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::{Pauses, Switch};

    #[test]
    fn pauses_are_summed_up_by_nearest_rank() {
        let switch = |pause: u32| Switch {
            pause_ms: Some(f64::from(pause)),
            slowest_ms: f64::from(pause * 2),
            ..Switch::default()
        };
        let switches: Vec<_> = (1..=20).rev().map(switch).collect();
        let pauses = Pauses::of(&switches).expect("there are switches");
        assert_eq!(pauses.switches, 20);
        let found = [pauses.p50, pauses.p99, pauses.max, pauses.slowest_ms];
        assert_eq!(format!("{found:?}"), "[10.0, 20.0, 20.0, 40.0]");
        assert!(Pauses::of(&[Switch::default()]).is_none(), "its pause is not known");
    }

    #[test]
    fn long_pauses_count_where_there_are_enough_to_tell() {
        let with = |switches: usize, long: usize, pause| {
            let switch = |pause| Switch { pause_ms: Some(pause), ..Switch::default() };
            let others = (long..switches).map(|_| switch(50.0));
            let long = (0..long).map(|_| switch(pause));
            Pauses::of(&others.chain(long).collect::<Vec<_>>()).expect("pauses").too_long()
        };
        assert!(with(20, 2, 251.0));
        assert!(!with(20, 2, 250.0));
        assert!(!with(20, 1, 999.0));
        assert!(!with(19, 19, 251.0));
        assert!(with(100, 2, 251.0));
        assert!(!with(100, 1, 251.0));
    }

    #[test]
    fn a_switch_is_placed_on_the_clock_of_the_load() {
        let began = DateTime::from_timestamp(1_000_000_000, 0).expect("a time");
        let at = Some("2001-09-09T01:46:42.5Z".to_owned());
        assert_eq!(Switch { at, ..Switch::default() }.since(began).at_seconds, Some(2.5));
        assert_eq!(Switch::default().since(began).at_seconds, None);
    }
}
