//! Auth's tables.

mod users;
mod workspaces;

use sqlx::PgPool;

pub use users::{NewUser, sign_up};
pub use workspaces::{MemberRow, WorkspaceRow, add_member, create_workspace};

/// Reads; each is one statement. Writes are functions over the transaction of a
/// [`Write`](crate::modules::idempotency::Write).
#[derive(Clone, Debug)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }
}
