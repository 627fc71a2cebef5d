//! Calls to others.

mod directory;
mod smtp;

pub use directory::Directory;
pub use smtp::Smtp;

/// A call to a peer failed; the text is for the delivery log and never empty.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failed(String);
