//! What happened elsewhere, and what whom it concerns is told.

use super::Kind;

/// What other modules tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// A person has signed up; `version` is theirs.
    SignedUp { user_id: i64, workspace_id: i64, version: i64 },
    /// A task was assigned to somebody else than the actor; `version` is the task's.
    TaskAssigned { task_id: i64, workspace_id: i64, actor_id: i64, assignee_id: i64, version: i64 },
    /// A task was commented on; `version` is the task's.
    CommentCreated {
        comment_id: i64,
        task_id: i64,
        workspace_id: i64,
        author_id: i64,
        /// Members of the workspace, without the author, each once.
        mentioned: Vec<i64>,
        version: i64,
    },
}

/// What several persons are told alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    pub user_ids: Vec<i64>,
    pub kind: Kind,
    pub workspace_id: i64,
    pub actor_id: Option<i64>,
    pub task_id: Option<i64>,
    pub comment_id: Option<i64>,
    /// Sets its mail apart from others of the kind to the same person.
    pub cause: String,
}

impl News {
    /// What is told, and to whom; nothing if it concerns nobody.
    pub fn notice(&self) -> Option<Notice> {
        let notice = match *self {
            Self::SignedUp { user_id, workspace_id, .. } => Notice {
                user_ids: vec![user_id],
                kind: Kind::Welcome,
                workspace_id,
                actor_id: None,
                task_id: None,
                comment_id: None,
                cause: "sign-up".to_owned(),
            },
            Self::TaskAssigned { task_id, workspace_id, actor_id, assignee_id, version } => {
                Notice {
                    user_ids: vec![assignee_id],
                    kind: Kind::Assignment,
                    workspace_id,
                    actor_id: Some(actor_id),
                    task_id: Some(task_id),
                    comment_id: None,
                    cause: format!("task-{task_id}-v{version}"),
                }
            }
            Self::CommentCreated {
                comment_id,
                task_id,
                workspace_id,
                author_id,
                ref mentioned,
                ..
            } => Notice {
                user_ids: mentioned.clone(),
                kind: Kind::Mention,
                workspace_id,
                actor_id: Some(author_id),
                task_id: Some(task_id),
                comment_id: Some(comment_id),
                cause: format!("comment-{comment_id}"),
            },
        };
        (!notice.user_ids.is_empty()).then_some(notice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comment(mentioned: Vec<i64>) -> News {
        News::CommentCreated {
            comment_id: 12,
            task_id: 7,
            workspace_id: 1,
            author_id: 2,
            mentioned,
            version: 4,
        }
    }

    #[test]
    fn a_cause_names_one_event() {
        let cause = |news: News| news.notice().map(|notice| notice.cause);
        let sign_up = News::SignedUp { user_id: 3, workspace_id: 1, version: 1 };
        assert_eq!(cause(sign_up).as_deref(), Some("sign-up"));
        assert_eq!(cause(comment(vec![3])).as_deref(), Some("comment-12"));
        let assigned = News::TaskAssigned {
            task_id: 7,
            workspace_id: 1,
            actor_id: 2,
            assignee_id: 3,
            version: 3,
        };
        assert_eq!(cause(assigned).as_deref(), Some("task-7-v3"));
    }

    #[test]
    fn a_comment_that_mentions_nobody_concerns_nobody() {
        assert_eq!(comment(Vec::new()).notice(), None);
    }
}
