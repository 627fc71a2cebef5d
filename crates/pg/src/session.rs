//! A session that a pool has lent. sqlx 0.9 puts no limit to the answer to `BEGIN` and to the ping with which a
//! connection goes back to its pool: one whose host is gone would hold its place until the kernel gives it up, after a
//! quarter of an hour.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{
    PgConnection, Postgres, SqlSafeStr as _, pool::PoolConnection, postgres::PgTransactionManager,
};
use sqlx_core::transaction::TransactionManager as _;
use tokio::{sync::OwnedSemaphorePermit, time::timeout};

use crate::within;

/// For what costs the server nothing.
const SILENCE: Duration = Duration::from_secs(3);

/// How long a connection may take to go back to its pool: a rollback, and the end of a statement that nobody waits for
/// any more. It is closed after that, though a slow statement of a sound server may go on.
pub(crate) const RETURN: Duration = Duration::from_secs(5);

/// A session of a pool, in a transaction unless it is from [`Pool::acquire`]. Dropped without [`Session::commit`] it is
/// rolled back. It costs the round trips of sqlx's own, and goes back to its pool within 5 s, or is closed.
///
/// [`Pool::acquire`]: crate::Pool::acquire
#[must_use = "a transaction that is dropped is rolled back"]
#[derive(Debug)]
pub struct Session {
    /// There until it is dropped or was given up.
    connection: Option<PoolConnection<Postgres>>,
    /// The next in line has it when the connection is back.
    place: Option<OwnedSemaphorePermit>,
    open: bool,
}

const THERE: &str = "a session has its connection until it is dropped";

impl Session {
    pub(crate) fn new(connection: PoolConnection<Postgres>, place: OwnedSemaphorePermit) -> Self {
        Self { connection: Some(connection), place: Some(place), open: false }
    }

    /// Fails with [`sqlx::Error::PoolTimedOut`] if there is no answer within 3 s.
    pub(crate) async fn begin(mut self, statement: &'static str) -> sqlx::Result<Self> {
        let begun = PgTransactionManager::begin(&mut self, Some(statement.into_sql_str()));
        match within(SILENCE, begun).await {
            Ok(()) => {
                self.open = true;
                Ok(self)
            }
            Err(error) => {
                // It may be in a transaction all the same, in which whoever gets it next would write.
                self.close();
                Err(error)
            }
        }
    }

    /// Ends it: nobody has its connection next. For one that was given up in the midst of a COPY, of which sqlx forgets that
    /// an answer is due.
    pub fn close(mut self) {
        drop(self.connection.take().map(PoolConnection::detach));
    }

    pub async fn commit(mut self) -> sqlx::Result<()> {
        PgTransactionManager::commit(&mut self).await?;
        self.open = false;
        Ok(())
    }

    /// Rolls back, and waits until that is done.
    pub async fn rollback(mut self) -> sqlx::Result<()> {
        PgTransactionManager::rollback(&mut self).await?;
        self.open = false;
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if self.open {
            PgTransactionManager::start_rollback(&mut connection);
        }
        // What sqlx does where a connection is dropped, but for the limit. Dropped in the midst of it, it is closed.
        let (returned, place) = (connection.return_to_pool(), self.place.take());
        tokio::spawn(async move {
            let _ = timeout(RETURN, returned).await;
            drop(place);
        });
    }
}

impl Deref for Session {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        self.connection.as_ref().expect(THERE)
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut PgConnection {
        self.connection.as_mut().expect(THERE)
    }
}
