//! What prepare refuses, by name, with the reason and the next step.

use crate::{Mover, Result};

/// Something that stands against a step, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What it is about, as a table's name or "lag".
    pub name: String,
    pub reason: String,
    pub next_step: String,
}

impl Mover {
    /// Everything that stands against installing this move; empty when nothing does. Changes nothing: views
    /// and rows that it tries are rolled back. Needs an empty target, so call it before [`Mover::install`].
    pub async fn refusals(&self) -> Result<Vec<Refusal>> {
        todo!()
    }
}
