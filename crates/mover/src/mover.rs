//! Both sides of one capability's move.

use std::sync::Arc;

use sqlx::migrate::Migrator;

use crate::{Definition, Result, database::Database};

/// The tables and functions in schema `ficus` that the mover needs on both sides. Use a migration table of its
/// own (`ficus_pg::migrate`).
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// Everything that touches the source and target database of a move. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mover {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub capability: String,
    pub definition: Definition,
    pub monolith: Database,
    pub service: Database,
}

impl Mover {
    /// Connects lazily, with pools of its own: fixed text forms, `row_security = off`, commits that wait for the
    /// log. Needs a runtime, as sqlx's pools do.
    pub fn connect(
        capability: &str,
        definition: Definition,
        monolith_url: &str,
        service_url: &str,
    ) -> Result<Self> {
        let _ = (capability, definition, monolith_url, service_url);
        todo!()
    }
}
