//! From an event to what whom it concerns is told.

use super::Kind;

/// One person's share of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub user_id: i64,
    pub kind: Kind,
    pub workspace_id: i64,
    pub actor_id: Option<i64>,
    pub task_id: Option<i64>,
    pub comment_id: Option<i64>,
    /// Sets its mail apart from others of the kind to the same person.
    pub cause: String,
}

impl Notice {
    /// A person has signed up.
    pub fn welcome(user_id: i64, workspace_id: i64) -> Self {
        Self {
            user_id,
            kind: Kind::Welcome,
            workspace_id,
            actor_id: None,
            task_id: None,
            comment_id: None,
            cause: "sign-up".to_owned(),
        }
    }

    /// A task was assigned by `actor_id`; `version` is the task's at that change.
    pub fn assignment(
        user_id: i64,
        workspace_id: i64,
        actor_id: i64,
        task_id: i64,
        version: i64,
    ) -> Self {
        Self {
            user_id,
            kind: Kind::Assignment,
            workspace_id,
            actor_id: Some(actor_id),
            task_id: Some(task_id),
            comment_id: None,
            cause: format!("task-{task_id}-v{version}"),
        }
    }

    /// A comment by `author_id` names the person.
    pub fn mention(
        user_id: i64,
        workspace_id: i64,
        author_id: i64,
        task_id: i64,
        comment_id: i64,
    ) -> Self {
        Self {
            user_id,
            kind: Kind::Mention,
            workspace_id,
            actor_id: Some(author_id),
            task_id: Some(task_id),
            comment_id: Some(comment_id),
            cause: format!("comment-{comment_id}"),
        }
    }
}
