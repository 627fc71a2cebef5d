//! What every service does with PostgreSQL: a pool, named transactions, the fence's refusal told apart, the
//! snapshot cursor's text form, and migrations of an application beside those of the engine.
//!
//! A request: [`begin`] → statements → [`Transaction::commit`], or a reference to the [`Pool`] for a single statement;
//! [`fenced`] tells a refusal of the fence from other errors, and [`progress`] whether the request may be repeated
//! elsewhere.

mod away;
mod fence;
mod metrics;
mod migrate;
mod pool;
pub mod progress;
mod session;
mod snapshot;
mod transaction;
mod within;

pub use away::away;
pub use fence::{FENCED_SQLSTATE, Fenced, fenced};
pub use metrics::watch;
pub use migrate::{Migrations, migrate};
pub use pool::{Pool, connect, options};
pub use session::Session;
pub use snapshot::Snapshot;
pub use transaction::{Transaction, begin, begin_with};
pub use within::within;
