//! SQL, one function a question. Functions that take a connection are parts of a transaction; those
//! that take the pool are one statement by themselves.

pub mod deliveries;
pub mod idempotency;
pub mod inbox;
pub mod inbox_events;
pub mod mails;
pub mod preferences;

pub use ficus_pg::Pool;
pub use sqlx::{Error, Result};

use crate::domain::Kind;

/// The kind that a column holds; the type of the column admits no other.
fn kind(name: &str) -> Kind {
    Kind::named(name).expect("the enum kind has the labels of domain::Kind")
}
