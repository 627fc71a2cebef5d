//! Transactions that are named and visible by their end.

use std::ops::{Deref, DerefMut};

use sqlx::{PgConnection, PgPool, Postgres};
use tracing::Instrument as _;

use crate::{metrics::Timed, progress};

/// A transaction under way. Dropped without [`Transaction::commit`] it is rolled back.
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction {
    inner: sqlx::Transaction<'static, Postgres>,
    timed: Timed,
}

/// Begins a transaction; `name` tells in logs, traces and metrics which one it is.
///
/// It begins in a task of its own: a request whose caller goes away is dropped wherever it waits, and a
/// `BEGIN` dropped half way would leave its connection in the pool inside an open transaction, where the
/// next one's statements would never be committed.
pub async fn begin(pool: &PgPool, name: &'static str) -> Result<Transaction, sqlx::Error> {
    let timed = Timed::begin(name);
    let pool = pool.clone();
    let begin = async move { pool.begin().await }.instrument(timed.span().clone());
    let inner = tokio::spawn(begin).await.map_err(|_| sqlx::Error::WorkerCrashed)??;
    Ok(Transaction { inner, timed })
}

impl Transaction {
    /// Commits. From here on the request has left a trace ([`progress::note_commit`]), also when the
    /// answer to the commit was lost.
    pub async fn commit(mut self) -> Result<(), sqlx::Error> {
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
