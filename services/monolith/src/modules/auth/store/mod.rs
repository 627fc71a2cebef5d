//! Auth's tables.

mod users;
mod workspaces;

use ficus_pg::Pool;

pub use users::{NewUser, sign_up};
pub use workspaces::{MemberRow, WorkspaceRow, add_member, create_workspace};

/// Reads; each is one statement. Writes are functions over the transaction of a
/// [`Write`](crate::modules::idempotency::Write).
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
}

impl Store {
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }
}
