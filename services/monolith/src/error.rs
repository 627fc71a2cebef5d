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
            return Error::outcome_unknown();
        }
        return Error::fenced(fenced.capability, fenced.epoch);
    }
    if ficus_pg::away(error) {
        tracing::warn!(%error, "the database did not answer in time");
        if progress::untouched() {
            Error::unavailable("unavailable", "the database did not answer in time; try again")
        } else {
            Error::outcome_unknown()
        }
    } else {
        tracing::error!(%error, "request failed");
        Error::internal()
    }
}

#[cfg(test)]
mod tests {
    use ficus_pg::progress;

    use super::refusal;

    #[tokio::test]
    async fn a_commit_that_was_not_answered_is_not_told_as_refused() {
        let lost = || refusal(&sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into()));
        let before = progress::scope(async { lost() }).await;
        assert_eq!(before.code, "unavailable", "nothing was committed");
        let after = progress::scope(async {
            progress::note_commit();
            lost()
        });
        assert_eq!(after.await.code, "outcome_unknown");
    }
}
