//! Core's tables. Access is a join with `members`: what is not in one of the caller's workspaces is not
//! found.

mod comments;
mod projects;
mod tasks;

use ficus_pg::Pool;

pub use comments::{CommentRow, create_comment, members_of};
pub use projects::{ProjectRow, create_project};
pub use tasks::{NewTask, change_task, create_task, place, task_for_update};

/// Reads; each is one statement.
#[derive(Clone, Debug)]
pub struct Store {
    pool: Pool,
}

impl Store {
    pub fn new(pool: Pool) -> Self {
        Self { pool }
    }
}
