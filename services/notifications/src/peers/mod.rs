//! Calls to others.

mod directory;
mod smtp;

pub use directory::Directory;
pub use smtp::Smtp;

/// A call to a peer failed; the text is for the delivery log and never empty.
#[derive(Debug, thiserror::Error)]
#[error("{reason}")]
pub struct Failed {
    reason: String,
    /// Another part of this system is away, which says nothing of the mail.
    pub ours: bool,
}

impl Failed {
    fn new(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ours: false }
    }

    fn ours(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), ours: true }
    }
}
