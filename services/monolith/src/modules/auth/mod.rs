//! Who a person is, and in which workspaces.
//!
//! Other modules ask it through [`Directory`] for names and addresses.

pub mod api;
mod directory;
mod domain;
mod passwords;
mod sessions;
mod store;

use std::sync::Arc;

use axum::extract::FromRef;

pub use directory::{Directory, Local};
pub use domain::Person;
pub use passwords::Passwords;
pub use sessions::Sessions;
pub use store::Store;

use super::idempotency::Writes;
use super::notifications::Notify;

/// What the module's routes need.
#[derive(Clone)]
pub struct Auth {
    pub sessions: Arc<Sessions>,
    pub passwords: Passwords,
    pub notify: Arc<dyn Notify>,
    pub store: Store,
    pub writes: Writes,
}

impl FromRef<Auth> for Arc<Sessions> {
    fn from_ref(auth: &Auth) -> Self {
        Self::clone(&auth.sessions)
    }
}
