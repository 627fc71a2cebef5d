//! Calls to others.

mod directory;
mod smtp;

pub use directory::Directory;
pub use smtp::Smtp;

use crate::domain::mail::Obstacle;

/// A call to a peer failed; the text is for the delivery log and never empty.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Failed {
    reason: String,
    pub obstacle: Obstacle,
}

impl Failed {
    fn new(obstacle: Obstacle, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), obstacle }
    }

    fn away(reason: impl Into<String>) -> Self {
        Self::new(Obstacle::Away, reason)
    }
}
