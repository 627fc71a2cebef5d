//! Who may publish: a row with a holder and an end on the database's clock, and a token that goes up
//! with every new leader. The end gives permission to take over; only the token makes an old leader's
//! advance miss.

use std::time::{Duration, Instant};

use ficus_pg::Pool;
use ficus_pg::within;
use sqlx::postgres::types::PgInterval;

use super::source;

const DURATION: Duration = Duration::from_millis(1500);
/// Between renewals, and between two attempts to get the lease.
pub const RENEWAL: Duration = Duration::from_millis(500);
/// For the answer of who has nothing to lose by waiting: as long as a connection may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// This process leads, until somebody else has raised the token.
#[derive(Debug)]
pub struct Lease {
    pub capability: String,
    pub holder: String,
    pub token: i64,
    /// Before it was asked for, so that it ends here no later than in the database.
    asked_at: Instant,
}

/// The lease, if nobody holds it. The first one of all makes the relay's row, at a snapshot that has
/// seen nothing, so that what is in the outbox already is published. Fails after 3 s without an answer.
pub async fn acquire(pool: &Pool, capability: &str, holder: &str) -> sqlx::Result<Option<Lease>> {
    within(PATIENCE, ask(pool, capability, holder)).await
}

async fn ask(pool: &Pool, capability: &str, holder: &str) -> sqlx::Result<Option<Lease>> {
    let asked_at = Instant::now();
    let mut taken = take(pool, capability, holder).await?;
    if taken.is_none() && register(pool, capability).await? {
        taken = take(pool, capability, holder).await?;
    }
    let (capability, holder) = (capability.to_owned(), holder.to_owned());
    Ok(taken.map(|token| Lease { capability, holder, token, asked_at }))
}

/// Where the end has passed, or is more than two lengths of a lease ahead: then the server's clock has stepped back, and
/// who led may be dead. One that lives, and renewed before that step, is deposed before its time, which costs a page
/// sent twice: its token is over, so it advances nothing.
async fn take(pool: &Pool, capability: &str, holder: &str) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "UPDATE ficus.relay
         SET holder = $2, token = token + 1, expires_at = clock_timestamp() + $3
         WHERE capability = $1
           AND (expires_at < clock_timestamp() OR expires_at > clock_timestamp() + $3 + $3)
         RETURNING token",
        capability,
        holder,
        duration(),
    )
    .fetch_optional(pool)
    .await
}

/// True if the row was not there.
async fn register(pool: &Pool, capability: &str) -> sqlx::Result<bool> {
    let source = source::now(pool).await?;
    let registered = sqlx::query!(
        "INSERT INTO ficus.relay (capability, snap, system_identifier, timeline)
         VALUES ($1, '1:1:', $2, $3)
         ON CONFLICT (capability) DO NOTHING",
        capability,
        source.system_identifier,
        source.timeline,
    );
    Ok(registered.execute(pool).await?.rows_affected() == 1)
}

/// Renews the lease; returns when it is lost, or could not be renewed in time.
pub async fn keep(pool: &Pool, lease: &Lease) {
    let mut end = lease.asked_at + DURATION;
    while Instant::now() < end {
        tokio::time::sleep(RENEWAL).await;
        let asked_at = Instant::now();
        match tokio::time::timeout_at(end.into(), renew(pool, lease)).await {
            Ok(Ok(true)) => end = asked_at + DURATION,
            Ok(Ok(false)) | Err(_) => return,
            Ok(Err(error)) => tracing::warn!(%error, "failed to renew the relay's lease"),
        }
    }
}

async fn renew(pool: &Pool, lease: &Lease) -> sqlx::Result<bool> {
    let renewed = sqlx::query!(
        "UPDATE ficus.relay SET expires_at = clock_timestamp() + $4
         WHERE capability = $1 AND holder = $2 AND token = $3",
        lease.capability,
        lease.holder,
        lease.token,
        duration(),
    );
    Ok(renewed.execute(pool).await?.rows_affected() == 1)
}

/// Lets the next leader begin at once. Fails after 3 s without an answer.
pub async fn release(pool: &Pool, lease: &Lease) -> sqlx::Result<()> {
    let released = sqlx::query!(
        "UPDATE ficus.relay SET expires_at = '-infinity'
         WHERE capability = $1 AND holder = $2 AND token = $3",
        lease.capability,
        lease.holder,
        lease.token,
    );
    within(PATIENCE, released.execute(pool)).await.map(drop)
}

fn duration() -> PgInterval {
    PgInterval { months: 0, days: 0, microseconds: DURATION.as_micros().try_into().unwrap_or(0) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]
mod tests {
    use trellis_testkit::{Migrations, Server, database};

    use super::*;

    const CAPABILITY: &str = "library";

    #[tokio::test]
    async fn a_lease_that_ends_much_later_than_any_lasts_is_taken() {
        let migrations =
            Migrations { migrator: &crate::MIGRATOR, table: "_sqlx_migrations_events" };
        let database = database(Server::First, &[migrations]).await;
        let pool = database.pool().await;
        let dead = acquire(&pool, CAPABILITY, "dead").await.unwrap().unwrap();
        let begun = Instant::now();
        let other = acquire(&pool, CAPABILITY, "other").await.unwrap();
        assert!(other.is_none() || begun.elapsed() > DURATION, "a lease that lasts is left alone");
        // As after the clock stepped back by an hour.
        sqlx::query("UPDATE ficus.relay SET expires_at = clock_timestamp() + interval '1 hour'")
            .execute(&pool)
            .await
            .unwrap();
        let new = acquire(&pool, CAPABILITY, "new").await.unwrap().unwrap();
        assert!(new.token > dead.token);
        assert!(!renew(&pool, &dead).await.unwrap());
    }
}
