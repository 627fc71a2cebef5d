//! A session that a pool has lent. sqlx 0.9 puts no limit to the answer to `BEGIN` and to the ping with which a
//! connection goes back to its pool: one whose host is gone would hold its place until the kernel gives it up, after a
//! quarter of an hour.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{
    PgConnection, PgPool, Postgres, SqlSafeStr as _, pool::PoolConnection,
    postgres::PgTransactionManager,
};
use sqlx_core::transaction::TransactionManager as _;
use tokio::time::timeout;

use crate::within;

/// For what costs the server nothing.
const SILENCE: Duration = Duration::from_secs(3);

/// How long a connection may take to go back to its pool: a rollback, and the end of a statement that nobody waits for
/// any more. It is closed after that, though a slow statement of a sound server may go on.
pub(crate) const RETURN: Duration = Duration::from_secs(5);

/// A session of a pool, in a transaction unless it is from [`acquire`]. Dropped without [`Session::commit`] it is rolled
/// back. It costs the round trips of sqlx's own, and goes back to its pool within 5 s, or is closed.
#[must_use = "a transaction that is dropped is rolled back"]
#[derive(Debug)]
pub struct Session {
    connection: PoolConnection<Postgres>,
    open: bool,
}

/// A session for statements that are no transaction.
pub async fn acquire(pool: &PgPool) -> sqlx::Result<Session> {
    Ok(Session { connection: pool.acquire().await?, open: false })
}

impl Session {
    /// Fails with [`sqlx::Error::PoolTimedOut`] if there is no connection or no answer within 3 s each.
    pub(crate) async fn begin(pool: &PgPool, statement: &'static str) -> sqlx::Result<Self> {
        let mut connection = pool.acquire().await?;
        let begun = PgTransactionManager::begin(&mut connection, Some(statement.into_sql_str()));
        match within(SILENCE, begun).await {
            Ok(()) => Ok(Self { connection, open: true }),
            Err(error) => {
                // It may be in a transaction all the same, in which whoever gets it next would write.
                drop(connection.detach());
                Err(error)
            }
        }
    }

    pub async fn commit(mut self) -> sqlx::Result<()> {
        PgTransactionManager::commit(&mut self.connection).await?;
        self.open = false;
        Ok(())
    }

    /// Rolls back, and waits until that is done.
    pub async fn rollback(mut self) -> sqlx::Result<()> {
        PgTransactionManager::rollback(&mut self.connection).await?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if self.open {
            PgTransactionManager::start_rollback(&mut self.connection);
        }
        // What sqlx does where a connection is dropped, but for the limit. Dropped in the midst of it, it is closed.
        let returned = self.connection.return_to_pool();
        tokio::spawn(async move { timeout(RETURN, returned).await });
    }
}

impl Deref for Session {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}
