//! A pool with limits that hold when the server or the network goes away.

use std::{str::FromStr, time::Duration};

use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

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
    Ok(PgPoolOptions::new()
        .max_connections(max)
        .acquire_timeout(Duration::from_secs(3))
        .test_before_acquire(false)
        .max_lifetime(Duration::from_mins(30))
        .connect_lazy_with(options))
}
