//! A limit to work on a database whose host may be gone.

use std::time::Duration;

/// What comes of `work`, or [`sqlx::Error::PoolTimedOut`] when there is nothing after `limit`: then it is not known
/// whether it was done. The server ends a statement by itself, if it is there; for one that is gone without a word
/// nothing else would.
pub async fn within<T, E: From<sqlx::Error>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    let done = tokio::time::timeout(limit, work).await;
    done.unwrap_or_else(|_| Err(sqlx::Error::PoolTimedOut.into()))
}
