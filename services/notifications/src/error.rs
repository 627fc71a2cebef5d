//! Why a request is not answered, and what the caller is told.

use ficus_pg::progress;

/// What a handler stops with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller is refused.
    #[error(transparent)]
    Refused(#[from] ficus_rpc::Error),
    /// The database refused, or is away.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl Error {
    /// What the caller is told, and the one place that logs our own failures. To be asked within the
    /// request's scope: the fence is named only while the request has left nothing behind, because the
    /// gateway repeats it then.
    pub fn told(self, method: &str) -> ficus_rpc::Error {
        let error = match self {
            Self::Refused(error) => return error,
            Self::Database(error) => error,
        };
        if let Some(fenced) = ficus_pg::fenced(&error) {
            return if progress::untouched() {
                ficus_rpc::Error::fenced(fenced.capability, fenced.epoch)
            } else {
                away("this part of Trellis is being moved")
            };
        }
        tracing::error!(method, %error, "request failed");
        match error {
            sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed | sqlx::Error::Io(_) => {
                away("the database is away")
            }
            _ => ficus_rpc::Error::internal(),
        }
    }
}

fn away(detail: &str) -> ficus_rpc::Error {
    ficus_rpc::Error::unavailable("unavailable", detail)
}
