//! The time of day, as an argument.

use chrono::{DateTime, Utc};

/// Tells the time of day: the system's, or one that a test has fixed.
#[derive(Debug, Clone, Copy, Default)]
pub struct Clock(Option<DateTime<Utc>>);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock that stands.
    pub fn fixed(at: DateTime<Utc>) -> Self {
        Self(Some(at))
    }

    /// The time of day in UTC.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
    pub fn now(&self) -> DateTime<Utc> {
        self.0.unwrap_or_else(Utc::now)
    }
}
