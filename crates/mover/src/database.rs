//! One side's pools, and how its errors are told.

use std::{str::FromStr, time::Duration};

use ficus_pg::{Pool, Session, begin_with, options as pool, within};
use sqlx::postgres::PgConnectOptions;

use crate::{Error, Result, Side};

/// SQLSTATE of `ficus.begin_step` when the token row holds another attempt.
const STALE_ATTEMPT: &str = "ZF002";
/// SQLSTATE of `ficus.raise_token` when the token row holds a later epoch.
const PAST_EPOCH: &str = "ZF003";

/// For the answer to what costs the server little. One whose host is gone without a word would be waited for until the
/// kernel gives the connection up, while the controller's lease is renewed at another.
const SILENCE: Duration = Duration::from_secs(10);
/// The same for what may cost it much: somewhat longer than a statement has.
const LONG_SILENCE: Duration = Duration::from_mins(3);

/// One side of a move.
#[derive(Debug)]
pub(crate) struct Database {
    pub side: Side,
    capability: String,
    /// Checks and everything else that is no step and no page.
    pub follow: Pool,
    /// A follower's pages. Every session plans a statement for itself, and anew when a table was analysed, as they are
    /// before a switch; of so few each has done so in the rounds before the fence, and the drain does not wait for it.
    pages: Pool,
    /// Steps: one connection a table, so that all tables are locked at once.
    pub steps: Pool,
    /// The opening: the session that rehearsed it does it; a second one for where the answer to its commit does not come.
    pub openings: Pool,
    /// The way back's rehearsal. It has customers' tables while it runs, so it is given up after a second, whatever
    /// has become of who asked for it.
    pub rehearsals: Pool,
}

impl Database {
    pub fn connect(side: Side, capability: &str, url: &str, tables: usize) -> Result<Self> {
        let of = |source| Error::Database { side, source };
        let options = PgConnectOptions::from_str(url).map_err(of)?;
        let options = options.statement_cache_capacity(500).options(fixed());
        let follow =
            options.clone().application_name(&format!("ficus-follow:{capability}")).options([
                ("statement_timeout", "120s"),
                ("idle_in_transaction_session_timeout", "2s"),
            ]);
        let rehearsals = options
            .clone()
            .application_name(&format!("ficus-rehearse:{capability}"))
            .options([("statement_timeout", "1s"), ("idle_in_transaction_session_timeout", "1s")]);
        let steps = options
            .application_name(&format!("ficus:{capability}"))
            .options([("statement_timeout", "30s"), ("idle_in_transaction_session_timeout", "5s")]);
        let idle = Duration::from_mins(1);
        Ok(Self {
            side,
            capability: capability.to_owned(),
            follow: pool(4).connect_lazy_with(follow.clone()).into(),
            pages: pool(2).connect_lazy_with(follow).into(),
            steps: pool(u32::try_from(tables).unwrap_or(u32::MAX).clamp(1, 32) + 2)
                .idle_timeout(idle)
                .connect_lazy_with(steps.clone())
                .into(),
            // One more, for where the answer to the first one's commit does not come.
            openings: pool(2).idle_timeout(idle).connect_lazy_with(steps).into(),
            rehearsals: pool(1).idle_timeout(idle).connect_lazy_with(rehearsals).into(),
        })
    }

    /// A transaction that reads one snapshot and can write nothing.
    pub async fn read(&self) -> Result<Session> {
        begin_with(&self.follow, BEGIN_READ).await.map_err(|e| self.error(e))
    }

    /// The same for a page.
    pub async fn read_page(&self) -> Result<Session> {
        begin_with(&self.pages, BEGIN_READ).await.map_err(|e| self.error(e))
    }

    pub async fn write(&self) -> Result<Session> {
        begin_with(&self.follow, BEGIN_WRITE).await.map_err(|e| self.error(e))
    }

    /// A transaction that writes as the mover: it passes fences, and what it does is not captured.
    pub async fn apply(&self) -> Result<Session> {
        begin_with(&self.follow, BEGIN_APPLY).await.map_err(|e| self.error(e))
    }

    /// The same for a page.
    pub async fn apply_page(&self) -> Result<Session> {
        begin_with(&self.pages, BEGIN_APPLY).await.map_err(|e| self.error(e))
    }

    /// What is asked and costs the server little; [`Error::Unreachable`] after 10 s.
    pub async fn ask<T>(&self, work: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
        within(SILENCE, Box::pin(work)).await.map_err(|e| self.error(e))
    }

    /// What is asked and may cost the server much; [`Error::Unreachable`] after 3 min.
    pub async fn ask_much<T>(&self, work: impl Future<Output = sqlx::Result<T>>) -> Result<T> {
        within(LONG_SILENCE, Box::pin(work)).await.map_err(|e| self.error(e))
    }

    /// Connects as many sessions as a fence needs, so that it need not wait for them.
    pub async fn warm(&self, tables: usize) -> Result<()> {
        let connections = (0..tables.min(32)).map(|_| self.steps.acquire());
        futures::future::try_join_all(connections).await.map_err(|e| self.error(e))?;
        Ok(())
    }

    pub fn error(&self, source: sqlx::Error) -> Error {
        match sqlstate(&source).as_deref() {
            Some(STALE_ATTEMPT) => {
                Error::StaleAttempt { capability: self.capability.clone(), side: self.side }
            }
            Some(PAST_EPOCH) => {
                Error::PastEpoch { capability: self.capability.clone(), side: self.side }
            }
            // Only steps bound their locks, to 60 ms each.
            Some("55P03") => Error::LockTimeout {
                side: self.side,
                table: "the cursor or the token".to_owned(),
                milliseconds: 60,
            },
            _ if matches!(source, sqlx::Error::PoolTimedOut) => {
                Error::Unreachable { side: self.side }
            }
            _ => Error::Database { side: self.side, source },
        }
    }
}

const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
pub(crate) const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED";
/// One round trip, which counts while nobody can write.
const BEGIN_APPLY: &str = "BEGIN ISOLATION LEVEL READ COMMITTED;
    SELECT set_config('ficus.applier', 'on', true), set_config('session_replication_role', 'replica', true),
           set_config('synchronous_commit', 'on', true)";

/// The five-character state of a server's error.
pub(crate) fn sqlstate(error: &sqlx::Error) -> Option<String> {
    Some(error.as_database_error()?.code()?.into_owned())
}

/// Rows travel as text and are compared as text, so every session writes it alike. (`DateStyle`, `TimeZone`
/// and `extra_float_digits` are fixed by sqlx itself, whose start-up message goes before these.) A server that sends to, or
/// waits for rows of, a mover whose host is gone ends the session after 25 s.
fn fixed() -> [(&'static str, &'static str); 11] {
    [
        ("IntervalStyle", "postgres"),
        ("bytea_output", "hex"),
        ("row_security", "off"),
        ("search_path", "public"),
        ("default_transaction_isolation", "read committed"),
        ("synchronous_commit", "on"),
        ("jit", "off"),
        ("max_parallel_workers_per_gather", "0"),
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
        ("tcp_keepalives_count", "3"),
    ]
}
