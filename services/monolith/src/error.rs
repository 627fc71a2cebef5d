//! Failures of the database as refusals to the caller: the one place that maps them.

use ficus_pg::progress;
use ficus_rpc::Error;

use crate::http::Ended;

impl From<sqlx::Error> for Ended {
    fn from(error: sqlx::Error) -> Self {
        refusal(&error).into()
    }
}

/// What the caller is told. The gateway repeats a fenced request at the new owner, so the fence is
/// named only if nothing of the request remains here.
pub fn refusal(error: &sqlx::Error) -> Error {
    if let Some(fenced) = ficus_pg::fenced(error) {
        if !progress::untouched() {
            return Error::unavailable("unavailable", "this part of Trellis is being moved");
        }
        return Error::fenced(fenced.capability, fenced.epoch);
    }
    match error {
        sqlx::Error::PoolTimedOut | sqlx::Error::Io(_) | sqlx::Error::PoolClosed => {
            tracing::warn!(%error, "database is away");
            Error::unavailable("unavailable", "the database is away")
        }
        error => {
            tracing::error!(%error, "request failed");
            Error::internal()
        }
    }
}
