//! Both sides of one capability's move.

use std::sync::Arc;

use sqlx::migrate::Migrator;

use crate::{Definition, Direction, Error, Result, Side, database::Database};

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
        check_names(capability, &definition)?;
        let connect = |side: Side, url| {
            Database::connect(side, capability, url, definition.tables_of(side).len())
        };
        let monolith = connect(Side::Monolith, monolith_url)?;
        let service = connect(Side::Service, service_url)?;
        let capability = capability.to_owned();
        Ok(Self { inner: Arc::new(Inner { capability, definition, monolith, service }) })
    }

    pub(crate) fn database(&self, side: Side) -> &Database {
        match side {
            Side::Monolith => &self.inner.monolith,
            Side::Service => &self.inner.service,
        }
    }

    pub(crate) fn tables_of(&self, side: Side) -> Vec<&str> {
        self.inner.definition.tables_of(side)
    }

    /// The names, in schema `ficus`, of the views that a direction reads.
    pub(crate) fn views_of(&self, direction: Direction) -> Vec<String> {
        let tables = self.inner.definition.tables(direction).iter();
        tables.map(|t| format!("{}.{}", self.inner.capability, t.table)).collect()
    }
}

/// Names of sessions and of things in schema `ficus` are made of these; PostgreSQL cuts names at 63 bytes.
fn check_names(capability: &str, definition: &Definition) -> Result<()> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    if capability.is_empty() || capability.len() > 30 || !capability.chars().all(plain) {
        return Err(Error::Definition(format!(
            "{capability:?} is no name for a capability: 1 to 30 of a-z, 0-9, _ and -"
        )));
    }
    let tables = definition.forward.iter().chain(&definition.reverse);
    for table in tables.map(|t| &t.table) {
        if capability.len() + 1 + table.len() > 63 {
            return Err(Error::Definition(format!("{capability}.{table} is longer than 63 bytes")));
        }
    }
    Ok(())
}
