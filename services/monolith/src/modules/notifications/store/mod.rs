//! The module's tables.

mod events;
mod inbox;
mod mails;
mod mode;
mod preferences;
mod tell;

use ficus_pg::Pool;

pub use events::{follow, fresh, park, parked, unpark};
pub use inbox::{NotificationRow, mark_all_read, mark_read};
pub use mails::DeliveryRow;
pub use mode::ModeReader;
pub use preferences::change_preferences;
pub use tell::tell;

/// A connection, for files that do not name the library.
pub type Conn = sqlx::PgConnection;
/// What a statement gives.
pub type Result<T> = sqlx::Result<T>;

/// Reads, each of one statement, and the mailer's own transactions.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
}

impl Store {
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }

    /// Begins a transaction.
    pub async fn begin(&self, name: &'static str) -> Result<ficus_pg::Transaction> {
        ficus_pg::begin(&self.pool, name).await
    }
}
