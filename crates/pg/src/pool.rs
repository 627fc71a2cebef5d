//! A pool with limits that hold when the server or the network goes away, or comes back.

use std::{io::ErrorKind, ops::Deref, str::FromStr, sync::Arc, time::Duration};

use futures::{
    FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Connection as _, Describe, Either, Execute, Executor, PgPool, Postgres, SqlStr,
    postgres::{PgConnectOptions, PgPoolOptions, PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tracing::Instrument as _;

use crate::{Session, session::RETURN, within};

/// A role that is called as the engine's schema would otherwise find that one first (`"$user"`).
pub(crate) const SEARCH_PATH: (&str, &str) = ("search_path", "public");

/// A connection that was used so lately is lent without being asked; so are those of leases, which are renewed every half
/// second.
const FRESH: Duration = Duration::from_millis(750);
/// For the answer of one that was not. A renewal of a mail's claim has a second for all of it, and may have to go on to the
/// next connection.
const PING: Duration = Duration::from_millis(300);

/// A pool of sqlx's, before which callers stand in line. Cloned, it is the same pool.
///
/// Taking a connection fails after 3 s. sqlx counts those for waiting in line and for connecting together, and gives up
/// a connection that is half made with whoever asked for it. After a server was away the first in line have next to
/// nothing left of their 3 s; where more come than connections are made in that time, none is ever finished, and the
/// server is back in vain. So the line is outside: whoever's turn it is has a connection made in 3 s of its own, which
/// goes to the pool if nobody waits for it any more. Until then it has its place, also where its caller waited for less.
///
/// A connection that has been idle for 750 ms is pinged before it is lent: its server may have ended meanwhile, and
/// whoever got it then, however much later, would have its error. One that is given back with an answer due, because
/// who waited for it has given up, has 5 s for it and is closed else: its host may be gone. That is no round trip more,
/// for the ping of sqlx that follows has nothing left to wait for but its own answer. For that it waits without a limit;
/// so connections are lent as a [`Session`], by [`Pool::acquire`], by [`begin`] or for a single statement, which is executed
/// on a reference to the pool. What a statement gives is read to its end then before any of it is handed out.
///
/// [`begin`]: crate::begin
#[derive(Clone, Debug)]
pub struct Pool {
    pool: PgPool,
    /// As many as the pool may have connections.
    places: Arc<Semaphore>,
}

/// Connects lazily: the server need not be there yet, and may go and come back.
///
/// `max` is the number of connections at most. A statement ends after 10 s and a transaction left idle
/// after 10 s; taking a connection fails after 3 s.
pub fn connect(url: &str, application_name: &str, max: u32) -> Result<Pool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?.application_name(application_name).options([
        ("statement_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("timezone", "UTC"),
        SEARCH_PATH,
    ]);
    Ok(self::options(max).connect_lazy_with(options).into())
}

/// What every pool has.
pub fn options(max: u32) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(Duration::from_secs(3))
        .max_lifetime(Duration::from_mins(30))
        .test_before_acquire(false)
        .before_acquire(|connection, since| {
            Box::pin(async move {
                if since.idle_for > FRESH {
                    within(PING, connection.ping()).await?;
                }
                Ok(true)
            })
        })
        .after_release(|connection, _| {
            Box::pin(async move {
                let answered = timeout(RETURN, connection.flush()).await;
                let silent = || sqlx::Error::Io(ErrorKind::TimedOut.into());
                answered.unwrap_or_else(|_| Err(silent())).map(|()| true)
            })
        })
}

impl From<PgPool> for Pool {
    /// To be done once and cloned then, for two of one pool are two lines. What was not made with [`options`] waits as
    /// long as it was told, 30 s if it was not, and has none of the other limits.
    fn from(pool: PgPool) -> Self {
        let places = pool.options().get_max_connections();
        Self { pool, places: Arc::new(Semaphore::new(places as usize)) }
    }
}

/// What it can tell of itself. Its own ways to a connection pass the line by.
impl Deref for Pool {
    type Target = PgPool;

    fn deref(&self) -> &PgPool {
        &self.pool
    }
}

impl Pool {
    /// A pool of its own to the same server, for work that must go on while requests wait for this one: a lease or a
    /// claim that cannot be renewed passes to another, who does the same once more.
    #[must_use]
    pub fn apart(&self, application_name: &str, max: u32) -> Self {
        let options = self.pool.options().clone().min_connections(0).max_connections(max);
        let server = PgConnectOptions::clone(&self.pool.connect_options());
        options.connect_lazy_with(server.application_name(application_name)).into()
    }

    /// A session for statements that are no transaction. Fails with [`sqlx::Error::PoolTimedOut`] after the
    /// pool's limit, 3 s unless it was made otherwise.
    pub async fn acquire(&self) -> sqlx::Result<Session> {
        within(self.pool.options().get_acquire_timeout(), self.wait()).await
    }

    async fn wait(&self) -> sqlx::Result<Session> {
        let place = Arc::clone(&self.places).acquire_owned().await;
        let made = make(self.pool.clone(), place.map_err(|_| sqlx::Error::PoolClosed)?);
        tokio::spawn(made.in_current_span()).await.map_err(|_| sqlx::Error::WorkerCrashed)?
    }
}

async fn make(pool: PgPool, place: OwnedSemaphorePermit) -> sqlx::Result<Session> {
    Ok(Session::new(pool.acquire().await?, place))
}

impl<'p> Executor<'p> for &'p Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(
        self,
        query: E,
    ) -> BoxStream<'e, sqlx::Result<Either<PgQueryResult, PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        let all = async move {
            let mut session = self.acquire().await?;
            let all: Vec<_> = session.fetch_many(query).try_collect().await?;
            Ok(stream::iter(all.into_iter().map(Ok)))
        };
        all.try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, sqlx::Result<Option<PgRow>>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        async move { self.acquire().await?.fetch_optional(query).await }.boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, sqlx::Result<PgStatement>>
    where
        'p: 'e,
    {
        async move { self.acquire().await?.prepare_with(sql, parameters).await }.boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, sqlx::Result<Describe<Postgres>>>
    where
        'p: 'e,
    {
        async move { self.acquire().await?.describe(sql).await }.boxed()
    }
}
