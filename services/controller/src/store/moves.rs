//! Moves: written down, read, and taken in hand.

use std::time::Duration;

use chrono::TimeDelta;
use ficus_mover::Definition;

use super::{Hand, Result, Store, bounded, row::Row};
use crate::{Error, domain::Facts};

/// In seconds; what looks as if it were that much ahead is from before the clock went back.
const BACK: f64 = -1.0;

impl Store {
    /// Every move there is or was.
    pub async fn moves(&self) -> Result<Vec<Facts>> {
        let rows = sqlx::query_as!(
            Row,
            "SELECT capability, owner, epoch, attempt, step, switching_to, prepared, stream, direction,
                    stream_error, diff_at, diff_clean, diff_rows, diff_differing, switched_at, retired,
                    unfinished
               FROM move ORDER BY capability"
        )
        .fetch_all(&self.pool);
        bounded(rows).await?.into_iter().map(Row::facts).collect()
    }

    /// The move of one capability.
    pub async fn facts(&self, capability: &str) -> Result<Option<Facts>> {
        let row = sqlx::query_as!(
            Row,
            "SELECT capability, owner, epoch, attempt, step, switching_to, prepared, stream, direction,
                    stream_error, diff_at, diff_clean, diff_rows, diff_differing, switched_at, retired,
                    unfinished
               FROM move WHERE capability = $1",
            capability
        )
        .fetch_optional(&self.pool);
        bounded(row).await?.map(Row::facts).transpose()
    }

    /// The move folder as it was at create.
    pub async fn definition(&self, capability: &str) -> Result<Definition> {
        let row =
            sqlx::query_scalar!("SELECT definition FROM move WHERE capability = $1", capability)
                .fetch_optional(&self.pool);
        let json = bounded(row).await?.ok_or_else(|| Error::NoMove(capability.to_owned()))?;
        Ok(serde_json::from_value(json)?)
    }

    /// How long the present owner has owned it, on the control database's clock; `None` if always.
    pub async fn since_switch(&self, capability: &str) -> Result<Option<TimeDelta>> {
        let seconds = sqlx::query_scalar!(
            "SELECT extract(epoch FROM clock_timestamp() - switched_at)::float8
               FROM move WHERE capability = $1",
            capability
        )
        .fetch_optional(&self.pool);
        let seconds = bounded(seconds).await?.flatten();
        Ok(seconds.and_then(|s| TimeDelta::from_std(Duration::try_from_secs_f64(s).ok()?).ok()))
    }

    /// How old the last whole comparison is, on the control database's clock. One from before that clock went back, by more
    /// than a second, is as old as can be.
    pub async fn since_diff(&self, capability: &str) -> Result<Option<Duration>> {
        let seconds = sqlx::query_scalar!(
            "SELECT extract(epoch FROM clock_timestamp() - diff_at)::float8
               FROM move WHERE capability = $1",
            capability
        )
        .fetch_optional(&self.pool);
        let seconds = bounded(seconds).await?.flatten();
        let age = |seconds: f64| {
            if seconds < BACK { Duration::MAX } else { Duration::from_secs_f64(seconds.max(0.0)) }
        };
        Ok(seconds.map(age))
    }

    /// Writes a move down, or anew one that was cancelled. False if there is one already.
    pub async fn create(&self, capability: &str, definition: &Definition) -> Result<bool> {
        let definition = serde_json::to_value(definition)?;
        let created = sqlx::query!(
            "WITH created AS (
                 INSERT INTO move (capability, definition) VALUES ($1, $2)
                 ON CONFLICT (capability) DO UPDATE
                 SET definition = excluded.definition, unfinished = true, stream_error = '',
                     created_at = clock_timestamp()
                 WHERE NOT move.unfinished AND NOT move.retired
                 RETURNING attempt, epoch
             )
             INSERT INTO journal (capability, attempt, epoch, step, text, by)
             SELECT $1, attempt, epoch, 'create', 'written down from its folder', $3 FROM created",
            capability,
            definition,
            self.name,
        )
        .execute(&self.pool);
        Ok(bounded(created).await?.rows_affected() == 1)
    }

    /// Takes the move in hand: raises the attempt, if this process has the lease. Waits for a change that
    /// is under way, so what it returns is what became of that.
    pub async fn raise(&self, capability: &str, why: &str) -> Result<(Hand, Facts)> {
        let known = self.facts(capability).await?;
        let known = known.ok_or_else(|| Error::NoMove(capability.to_owned()))?;
        let raised = sqlx::query_scalar!(
            "WITH raised AS (
                 UPDATE move SET attempt = attempt + 1
                  WHERE capability = $1 AND attempt = $2
                    AND EXISTS (SELECT FROM lease
                                 WHERE name = 'controller' AND holder = $3
                                   AND expires_at > clock_timestamp())
                 RETURNING attempt, epoch
             )
             INSERT INTO journal (capability, attempt, epoch, step, text, by)
             SELECT $1, attempt, epoch, 'attempt', $4, $5 FROM raised
             RETURNING attempt",
            capability,
            known.attempt,
            self.holder,
            why,
            self.name,
        )
        .fetch_optional(&self.pool);
        let attempt = bounded(raised).await?.ok_or(Error::Stale)?;
        let hand = Hand { store: self.clone(), capability: capability.to_owned(), attempt };
        let facts = self.facts(capability).await?.ok_or(Error::Stale)?;
        if facts.attempt == attempt { Ok((hand, facts)) } else { Err(Error::Stale) }
    }
}
