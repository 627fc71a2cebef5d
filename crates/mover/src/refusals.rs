//! What prepare refuses, by name, with the reason and the next step.

mod projections;
mod tables;
pub(crate) mod trial;

use crate::{Direction, Mover, Result, Side};

/// Something that stands against a step, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it is about, as a table's name or "lag".
    pub name: String,
    pub reason: String,
    pub next_step: String,
}

impl Refusal {
    pub(crate) fn new(name: &str, reason: String, next_step: &str) -> Self {
        Self { name: name.to_owned(), reason, next_step: next_step.to_owned() }
    }
}

impl Mover {
    /// Everything that stands against installing this move; empty when nothing does. Changes nothing: views
    /// and rows that it tries are rolled back. Needs an empty target, so call it before [`Mover::install`].
    pub async fn refusals(&self) -> Result<Vec<Refusal>> {
        let mut found = Vec::new();
        for side in [Side::Monolith, Side::Service] {
            found.extend(self.table_refusals(side).await?);
            found.extend(self.sequence_refusals(side).await?);
            found.extend(self.setting_refusals(side).await?);
        }
        found.extend(self.rows_in_target().await?);
        if !found.is_empty() {
            // Projections of tables that are not as they must be say nothing.
            return Ok(found);
        }
        for direction in [Direction::Forward, Direction::Reverse] {
            found.extend(self.projection_refusals(direction).await?);
        }
        if found.is_empty() {
            found.extend(self.trial().await?);
        }
        Ok(found)
    }
}
