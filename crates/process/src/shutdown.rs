//! The one word that ends a process.

use tokio_util::sync::CancellationToken;

/// Says that the process is to end. Cheap to clone; every clone hears the same word.
#[derive(Debug, Clone, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    /// One that nobody has requested yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits until the end is requested. Cancel-safe.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }

    /// Whether the end was requested.
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Requests the end.
    pub fn request(&self) {
        self.0.cancel();
    }

    /// The token behind it, for libraries that take one.
    pub fn token(&self) -> CancellationToken {
        self.0.clone()
    }
}
