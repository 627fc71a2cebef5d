//! What a capability tells the consumer.

use std::{collections::HashSet, time::Duration};

use async_trait::async_trait;
use ficus_pg::Transaction;
use uuid::Uuid;

use crate::Event;

/// The effects of a capability's events, its inbox and its parked keys. All of these tables belong to
/// the capability and move with it, so that a fence refuses all of it.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Begins the transaction that one batch is applied in.
    async fn begin(&self) -> sqlx::Result<Transaction>;

    /// Inserts `ids` into the inbox (`ON CONFLICT DO NOTHING … RETURNING`); answers those that were
    /// not there.
    async fn fresh(&self, tx: &mut Transaction, ids: &[Uuid]) -> sqlx::Result<HashSet<Uuid>>;

    /// The ids of those `events` whose topic and key are parked.
    async fn parked(&self, tx: &mut Transaction, events: &[&Event]) -> sqlx::Result<HashSet<Uuid>>;

    /// Parks the topic and key of `event`, with its id; nothing to do if they are.
    async fn park(&self, tx: &mut Transaction, event: &Event, reason: &str) -> sqlx::Result<()>;

    /// Puts the id of `event` in the place of the one that is kept with its parked topic and key; false if
    /// they are not parked.
    async fn follow(&self, tx: &mut Transaction, event: &Event) -> sqlx::Result<bool>;

    /// Frees the topic and key if the id that is kept with them is one of `redriven`; false if they are
    /// parked still. One statement, so that it and [`Handler::follow`] wait for each other.
    async fn unpark(
        &self,
        tx: &mut Transaction,
        topic: &str,
        key: &str,
        redriven: &[Uuid],
    ) -> sqlx::Result<bool>;

    /// Applies one event. It may be called again for the same event after a rollback, so it calls
    /// nobody outside the database.
    async fn apply(&self, tx: &mut Transaction, event: &Event) -> Result<(), ApplyError>;
}

/// Why an event was not applied. A refusal by the fence (`ZF001`) and an unreachable database are found
/// in [`ApplyError::Database`] and count against nobody.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// It can never be applied, as a payload that does not parse: to the dead letters at once.
    #[error("{0}")]
    Rejected(String),
    /// It could not be applied now: to the dead letters after three tries.
    #[error("{0}")]
    Failed(String),
    /// As `Failed` if the statement was at fault; tried for ever if the database was.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

/// For one call of a handler, and for a commit. The server ends a statement after 10 s, if it is there.
const SILENCE: Duration = Duration::from_secs(15);

/// Bounds work on the database, so that one whose host is gone does not hold the consumer.
pub async fn bounded<T, E: From<sqlx::Error>>(
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    ficus_pg::within(SILENCE, work).await
}
