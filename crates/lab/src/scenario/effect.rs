//! What a write does to the system when it is done.

use ficus_load::{Class, Reply};
use serde::Serialize;
use serde_json::Value;

/// One write's effect. Ids that only the answer tells are `None` until it has.
#[derive(Debug, Clone, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case", tag = "effect")]
pub enum Effect {
    /// A user, their inbox's welcome and a welcome mail.
    SignUp { email: String, user_id: Option<i64> },
    /// A task; with an assignee other than the actor, an inbox item and a mail.
    TaskCreated { task_id: Option<i64>, title: String, told: Option<i64> },
    /// The task has this title and state from now on.
    TaskUpdated { task_id: i64, title: String, state: &'static str },
    /// A comment; for everybody it mentions an inbox item and a mail.
    Commented { task_id: i64, comment_id: Option<i64>, mentioned: Vec<i64> },
    /// The inbox item is read.
    MarkedRead { notification_id: i64 },
    /// Mentions reach the user like this.
    Preferred { user_id: i64, in_app: bool, email: bool, version: Option<i64> },
}

impl Effect {
    /// The effect with the ids that an answer to it tells.
    #[must_use]
    pub fn completed(mut self, reply: &Reply) -> Self {
        if reply.class != Class::Acknowledged {
            return self;
        }
        let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let number = |name: &str| answer.get(name).and_then(Value::as_i64);
        match &mut self {
            Self::SignUp { user_id, .. } => *user_id = number("user_id"),
            Self::TaskCreated { task_id, .. } => *task_id = number("id"),
            Self::Commented { comment_id, .. } => *comment_id = number("id"),
            Self::Preferred { version, .. } => *version = number("version"),
            Self::TaskUpdated { .. } | Self::MarkedRead { .. } => {}
        }
        self
    }
}
