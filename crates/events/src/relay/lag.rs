//! How far a relay is behind.

use std::time::Duration;

use ficus_pg::Pool;
use sqlx::PgExecutor;

/// What a relay has not yet sent and confirmed. The same in SQL: `ficus.relay_lag(capability)`.
#[derive(Clone, Debug)]
pub struct Lag {
    pub events: i64,
    /// Of the oldest, from the beginning of its transaction; zero if there is none.
    pub age: Duration,
    /// It waits until another database's relay has confirmed what it published.
    pub held: bool,
    /// Why it has stopped until a person clears it, if it has.
    pub stopped: Option<String>,
}

/// How far the relay of `capability` is behind this database's outbox; where none has run, all of it.
pub async fn lag(pool: &Pool, capability: &str) -> sqlx::Result<Lag> {
    read(pool, capability).await
}

pub async fn read(executor: impl PgExecutor<'_>, capability: &str) -> sqlx::Result<Lag> {
    let row = sqlx::query!(
        r#"SELECT events AS "events!", extract(epoch FROM age)::float8 AS "seconds!",
                  held AS "held!", stopped
           FROM ficus.relay_lag($1)"#,
        capability
    )
    .fetch_one(executor)
    .await?;
    let age = Duration::try_from_secs_f64(row.seconds).unwrap_or_default();
    Ok(Lag { events: row.events, age, held: row.held, stopped: row.stopped })
}
