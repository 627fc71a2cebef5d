//! Why a request was not answered by its owner.

use std::sync::Arc;

/// All of these mean that the request has had no effect and may be made again a little later (503 with
/// `Retry-After`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("{0} is changing its owner, and this took longer than a request is held")]
    HeldTooLong(Arc<str>),
    #[error("{0} is changing its owner, and as many requests as may be are held already")]
    TooManyHeld(Arc<str>),
    #[error("{0} is changing its owner, and this body is too large to be kept for a repetition")]
    NotRepeatable(Arc<str>),
}
