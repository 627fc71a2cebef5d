//! Domain events, committed with the change that they tell of.

use ficus_events::NewEvent;
use prost::Message;
use trellis_contracts::events::v1::{
    CommentCreated, MailBounced, MailDelivered, PreferencesChanged, TaskAssigned, UserSignedUp,
};

use super::domain::News;
use super::store::{Conn, Result};

/// Publishes if there is a broker; without one nothing is told, because nobody would ever read it.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing {
    pub broker: bool,
}

impl Outgoing {
    /// What another module tells, on that module's topic.
    pub async fn news(self, conn: &mut Conn, news: &News) -> Result<()> {
        match *news {
            News::SignedUp { user_id, workspace_id, version } => {
                let message = UserSignedUp { user_id, workspace_id };
                let about = About { capability: "auth", key: format!("user-{user_id}"), version };
                self.append(conn, about, "trellis.events.v1.UserSignedUp", &message).await
            }
            News::TaskAssigned { task_id, workspace_id, actor_id, assignee_id, version } => {
                let message = TaskAssigned { task_id, workspace_id, actor_id, assignee_id };
                let about = About { capability: "core", key: format!("task-{task_id}"), version };
                self.append(conn, about, "trellis.events.v1.TaskAssigned", &message).await
            }
            News::CommentCreated {
                comment_id,
                task_id,
                workspace_id,
                author_id,
                ref mentioned,
                version,
            } => {
                let mentioned_user_ids = mentioned.clone();
                let message = CommentCreated {
                    comment_id,
                    task_id,
                    workspace_id,
                    author_id,
                    mentioned_user_ids,
                };
                let about = About { capability: "core", key: format!("task-{task_id}"), version };
                self.append(conn, about, "trellis.events.v1.CommentCreated", &message).await
            }
        }
    }

    /// The mail server took the mail, whose row is at `version` now.
    pub async fn delivered(self, conn: &mut Conn, mail: Mail) -> Result<()> {
        let message = MailDelivered { mail_id: mail.id, user_id: mail.user_id };
        self.append(conn, mail.about(), "trellis.events.v1.MailDelivered", &message).await
    }

    /// The mail was given up.
    pub async fn bounced(self, conn: &mut Conn, mail: Mail) -> Result<()> {
        let message = MailBounced { mail_id: mail.id, user_id: mail.user_id };
        self.append(conn, mail.about(), "trellis.events.v1.MailBounced", &message).await
    }

    /// The person's preferences are at `version` now.
    pub async fn preferences_changed(
        self,
        conn: &mut Conn,
        user_id: i64,
        version: i64,
    ) -> Result<()> {
        let message = PreferencesChanged { user_id };
        let key = format!("preferences-{user_id}");
        let about = About { capability: super::NAME, key, version };
        self.append(conn, about, "trellis.events.v1.PreferencesChanged", &message).await
    }

    async fn append(
        self,
        conn: &mut Conn,
        About { capability, key, version }: About,
        kind: &'static str,
        message: &impl Message,
    ) -> Result<()> {
        if !self.broker {
            return Ok(());
        }
        let topic = &format!("trellis.{capability}.v1");
        let payload = message.encode_to_vec();
        let event = NewEvent { capability, topic, key, version, kind, payload };
        ficus_events::append(conn, &event).await
    }
}

/// Whose event it is, and its place among the events of that key.
struct About {
    capability: &'static str,
    key: String,
    version: i64,
}

/// A mail that an event is about.
#[derive(Clone, Copy, Debug)]
pub struct Mail {
    pub id: i64,
    pub user_id: i64,
    pub version: i64,
}

impl Mail {
    fn about(self) -> About {
        let key = format!("mail-{}", self.id);
        About { capability: super::NAME, key, version: self.version }
    }
}
