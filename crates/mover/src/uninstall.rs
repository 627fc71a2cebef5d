//! Cancel and complete: capture and fences go, logs are emptied.

use crate::{Mover, Result};

impl Mover {
    /// Cancel, last half: triggers, views, cursors and logs go from both sides; the token row stays. The
    /// monolith owns. May be repeated.
    pub async fn uninstall(&self, attempt: i64) -> Result<()> {
        let _ = attempt;
        todo!()
    }

    /// Cancel, first half: closes the forward cursor, so that no follower can write any more, and empties the
    /// service's tables, which must be shut.
    pub async fn empty_target(&self, attempt: i64) -> Result<()> {
        let _ = attempt;
        todo!()
    }

    /// Complete: closes the reverse cursor, renames the monolith's tables to `<name>_retired_by_ficus` with their
    /// fence shut, takes capture and views away on both sides and empties the logs. May be repeated.
    pub async fn complete(&self, attempt: i64) -> Result<()> {
        let _ = attempt;
        todo!()
    }
}
