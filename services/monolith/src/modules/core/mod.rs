//! Projects, tasks and comments. Nobody calls this module from inside.

pub mod api;
mod domain;
mod store;

use std::sync::Arc;

use axum::extract::FromRef;

pub use store::Store;

use super::auth::Sessions;
use super::idempotency::Writes;
use super::notifications::Notify;

/// What the module's routes need.
#[derive(Clone)]
pub struct Core {
    pub sessions: Arc<Sessions>,
    pub notify: Arc<dyn Notify>,
    pub store: Store,
    pub writes: Writes,
}

impl FromRef<Core> for Arc<Sessions> {
    fn from_ref(core: &Core) -> Self {
        Self::clone(&core.sessions)
    }
}
