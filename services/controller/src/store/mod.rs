//! The control database. Every change of a move matches the attempt that makes it, and is one
//! transaction with its line in the journal, but for *pending* and the announcement of C1.

mod journal;
mod lease;
mod moves;
mod pickers;
mod record;
mod row;
mod switch;

use std::time::Duration;

use ficus_pg::Pool;

use crate::{Error, error::Result};

pub use lease::Holder;
pub use pickers::{Picker, Registered};
pub use record::Hand;
pub use switch::Decision;

/// A statement that takes longer has failed; whether it happened is not known.
const PATIENCE: Duration = Duration::from_secs(2);

/// The control database, as this controller uses it.
#[derive(Debug, Clone)]
pub struct Store {
    pool: Pool,
    /// This process, different at every start: a lease is not inherited by its name.
    holder: String,
    /// Where others reach it.
    address: String,
    /// The name that the journal shows.
    name: String,
}

impl Store {
    pub fn new(pool: Pool, name: String, address: String) -> Self {
        let start = u32::from_ne_bytes(ficus_process::random::bytes());
        Self { pool, holder: format!("{name}-{start:08x}"), address, name }
    }
}

/// Bounds a statement. An error from here says nothing of whether it happened, unless the server said so.
async fn bounded<T>(statement: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T> {
    match tokio::time::timeout(PATIENCE, statement).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Error::ControlSilent),
    }
}

/// A statement that matched no row was one of an attempt that is over.
fn one(rows: u64) -> Result<()> {
    if rows == 1 { Ok(()) } else { Err(Error::Stale) }
}
