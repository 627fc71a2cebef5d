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
                ficus_rpc::Error::outcome_unknown()
            };
        }
        tracing::error!(method, %error, "request failed");
        if !ficus_pg::away(&error) {
            ficus_rpc::Error::internal()
        } else if progress::untouched() {
            ficus_rpc::Error::unavailable(
                "unavailable",
                "the database did not answer in time; try again",
            )
        } else {
            ficus_rpc::Error::outcome_unknown()
        }
    }
}

#[cfg(test)]
mod tests {
    use ficus_pg::progress;

    use super::Error;

    #[tokio::test]
    async fn a_commit_that_was_not_answered_is_not_told_as_refused() {
        let lost = || {
            Error::Database(sqlx::Error::Io(std::io::ErrorKind::UnexpectedEof.into()))
                .told("a test")
        };
        let before = progress::scope(async { lost() }).await;
        assert_eq!(before.code, "unavailable", "nothing was committed");
        let after = progress::scope(async {
            progress::note_commit();
            lost()
        });
        assert_eq!(after.await.code, "outcome_unknown");
    }
}
