//! What can stop the mover.

use crate::{Direction, Side};

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors of followers and steps. [`Error::Database`] and [`Error::Unreachable`] may pass when tried again;
/// the rest says what has to change first.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The token row holds another attempt: somebody else has the move in hand. No step was done.
    #[error("the {side}'s database has another attempt of {capability} in hand")]
    StaleAttempt { capability: String, side: Side },
    /// The control row is of an earlier epoch than this database has seen, so it is old, as one from a backup is. By it
    /// the wrong side would be opened; no step was done.
    #[error(
        "the {side}'s database has seen a later epoch of {capability} than the control row is of, which is old: restore \
         a later one, or put owner and epoch right by hand (docs/mover.md)"
    )]
    PastEpoch { capability: String, side: Side },
    /// The cursor is closed, is of another epoch or was moved by another follower. Nothing was applied.
    #[error("the {direction} cursor of {capability} is not where this follower left it")]
    LostCursor { capability: String, direction: Direction },
    /// The source is not what the cursor was read from; only a re-base can go on.
    #[error("needs re-base: {reason}")]
    NeedsRebase { reason: String },
    /// A row of the service that the monolith cannot give back as it is.
    #[error("irreversible: {table} {key}: {reason}")]
    Irreversible { table: String, key: String, reason: String },
    /// A row that the target cannot hold.
    #[error("the target cannot hold {table} {key}: {reason}")]
    Row { table: String, key: String, reason: String },
    /// A table's lock was not to be had in time. What was fenced stays fenced until [`crate::Mover::unfence`].
    #[error("failed to lock {table} of the {side}'s database within {milliseconds} ms")]
    LockTimeout { side: Side, table: String, milliseconds: u64 },
    /// The drain found more than one page of changes.
    #[error("more than one page of changes was left to drain")]
    Backlog,
    /// The drain found rows that differ; they are counted in the diff.
    #[error("{rows} rows differ, first {first}")]
    Differs { rows: u64, first: String },
    /// The move folder or what it names is wrong.
    #[error("{0}")]
    Definition(String),
    #[error("failed to reach the {side}'s database in time")]
    Unreachable { side: Side },
    #[error("the {side}'s database: {source}")]
    Database { side: Side, source: sqlx::Error },
}
