//! Transactions that are named and visible by their end.

use std::ops::{Deref, DerefMut};

use sqlx::PgConnection;
use tracing::Instrument as _;

use crate::{Pool, Session, metrics::Timed, progress};

/// A transaction under way. Dropped without [`Transaction::commit`] it is rolled back.
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction {
    inner: Session,
    timed: Timed,
}

/// Begins a transaction; `name` tells in logs, traces and metrics which one it is.
pub async fn begin(pool: &Pool, name: &'static str) -> Result<Transaction, sqlx::Error> {
    let timed = Timed::begin(name);
    let inner = begin_with(pool, "BEGIN").instrument(timed.span().clone()).await?;
    Ok(Transaction { inner, timed })
}

/// Begins a transaction by this statement, in a task of its own: whoever asks for one may be dropped wherever it waits,
/// and sqlx 0.9 does not roll back a `BEGIN` that was dropped half way. Its session would go back to the pool with an
/// open transaction, and what the next one writes in it would never be committed.
///
/// Fails with [`sqlx::Error::PoolTimedOut`] if there is no connection or no answer within 3 s each.
pub async fn begin_with(pool: &Pool, statement: &'static str) -> Result<Session, sqlx::Error> {
    let begun = pool.acquire().await?.begin(statement).in_current_span();
    tokio::spawn(begun).await.map_err(|_| sqlx::Error::WorkerCrashed)?
}

impl Transaction {
    /// Commits, unless a statement has failed in it, whose error may have been passed over: PostgreSQL answers that
    /// `COMMIT` by rolling back, and sqlx 0.9 takes it for done. So one more statement asks first, and fails.
    ///
    /// From then on the request has left a trace ([`progress::note_commit`]), also when the answer to the commit was lost.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
        sqlx::raw_sql("SELECT 1").execute(&mut *self.inner).await?;
        progress::note_commit();
        let committed = self.inner.commit().await;
        match &committed {
            Ok(()) => self.timed.committed(),
            Err(error) => {
                tracing::warn!(transaction = self.timed.name(), %error, "failed to commit");
            }
        }
        committed
    }

    /// Rolls back, and waits until that is done.
    pub async fn rollback(self) -> Result<(), sqlx::Error> {
        self.inner.rollback().await
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.inner
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.inner
    }
}
