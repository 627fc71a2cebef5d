//! What a verb answers.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};

/// Something that stands against a verb, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it is about.
    pub name: String,
    pub reason: String,
    pub next_step: String,
}

impl Refusal {
    pub fn new(
        name: impl Into<String>,
        reason: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Self {
        Self { name: name.into(), reason: reason.into(), next_step: next_step.into() }
    }
}

impl From<ficus_mover::Refusal> for Refusal {
    fn from(refusal: ficus_mover::Refusal) -> Self {
        Self { name: refusal.name, reason: refusal.reason, next_step: refusal.next_step }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.name, self.reason, self.next_step)
    }
}

/// What a verb did, or what stood against it.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub done: bool,
    pub lines: Vec<String>,
    pub refusals: Vec<Refusal>,
    pub switched: Option<Switched>,
}

impl Outcome {
    pub fn done(lines: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self { done: true, lines: lines.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    pub fn refused(refusals: Vec<Refusal>) -> Self {
        Self { refusals, ..Self::default() }
    }

    /// The answer to a dry run: what would be done, and what would stand against it.
    pub fn plan(lines: &[&str], refusals: Vec<Refusal>) -> Self {
        let lines = lines.iter().map(|line| (*line).to_owned()).collect();
        Self { done: refusals.is_empty(), lines, refusals, switched: None }
    }
}

/// A switch that happened.
#[derive(Debug, Clone, Copy)]
pub struct Switched {
    pub epoch: i64,
    pub at: DateTime<Utc>,
    /// From asking for C1's lock to C7's commit, on this process's monotonic clock.
    pub pause: Duration,
    pub tries: u32,
}
