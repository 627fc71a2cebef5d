//! A pool with limits that hold when the server or the network goes away.

use std::{io::ErrorKind, str::FromStr, time::Duration};

use sqlx::{
    Connection as _, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::timeout;

use crate::{session::RETURN, within};

/// A role that is called as the engine's schema would otherwise find that one first (`"$user"`).
pub(crate) const SEARCH_PATH: (&str, &str) = ("search_path", "public");

/// A pool of its own to the same server, for work that must go on while requests wait for `pool`: a lease or a claim that
/// cannot be renewed passes to another, who does the same once more.
pub fn apart(pool: &PgPool, max: u32) -> PgPool {
    let options = pool.options().clone().min_connections(0).max_connections(max);
    options.connect_lazy_with(PgConnectOptions::clone(&pool.connect_options()))
}

/// Connects lazily: the server need not be there yet, and may go and come back.
///
/// `max` is the number of connections at most. A statement ends after 10 s and a transaction left idle
/// after 10 s; taking a connection fails after 3 s.
pub fn connect(url: &str, application_name: &str, max: u32) -> Result<PgPool, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?.application_name(application_name).options([
        ("statement_timeout", "10s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("timezone", "UTC"),
        SEARCH_PATH,
    ]);
    Ok(self::options(max).connect_lazy_with(options))
}

/// A connection that was used so lately is lent without being asked; so are those of leases, which are renewed every half
/// second.
const FRESH: Duration = Duration::from_millis(750);
/// For the answer of one that was not. A renewal of a mail's claim has a second for all of it, and may have to go on to the
/// next connection.
const PING: Duration = Duration::from_millis(300);

/// What every pool has. Taking a connection fails after 3 s. One that has been idle for 750 ms is pinged first:
/// its server may have ended meanwhile, and whoever got it then, however much later, would have its error. One that is
/// given back with an answer due, because who waited for it has given up, has 5 s for it and is closed else: its host
/// may be gone. That is no round trip more, for the ping of sqlx that follows has nothing left to wait for but its own
/// answer. For which it waits without a limit; so connections are taken as a [`Session`], by [`begin`], [`on`] or
/// [`acquire`], and not from the pool itself.
///
/// [`Session`]: crate::Session
/// [`begin`]: crate::begin
/// [`on`]: crate::on
/// [`acquire`]: crate::acquire
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
