//! Transactions that are named and visible by their end.

use std::ops::{Deref, DerefMut};

use sqlx::{PgConnection, PgPool, Postgres};

use crate::progress;

/// A transaction under way. Dropped without [`Transaction::commit`] it is rolled back.
#[must_use = "a transaction that is dropped is rolled back"]
pub struct Transaction {
    name: &'static str,
    inner: sqlx::Transaction<'static, Postgres>,
}

/// Begins a transaction; `name` tells in logs which one it is.
///
/// It begins in a task of its own: a request whose caller goes away is dropped wherever it waits, and a
/// `BEGIN` dropped half way would leave its connection in the pool inside an open transaction, where the
/// next one's statements would never be committed.
pub async fn begin(pool: &PgPool, name: &'static str) -> Result<Transaction, sqlx::Error> {
    let pool = pool.clone();
    let begun = tokio::spawn(async move { pool.begin().await }).await;
    let inner = begun.map_err(|_| sqlx::Error::WorkerCrashed)??;
    Ok(Transaction { name, inner })
}

impl Transaction {
    /// Commits. From here on the request has left a trace ([`progress::note_commit`]), also when the
    /// answer to the commit was lost.
    pub async fn commit(self) -> Result<(), sqlx::Error> {
        progress::note_commit();
        let name = self.name;
        self.inner.commit().await.inspect_err(|error| {
            tracing::warn!(transaction = name, %error, "failed to commit");
        })
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
