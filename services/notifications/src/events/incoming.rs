//! What notifications hears: who is to be told what.

use std::collections::HashSet;

use async_trait::async_trait;
use ficus_events::{ApplyError, Event, Handler};
use ficus_pg::Transaction;
use prost::Message;
use trellis_contracts::events::v1::{CommentCreated, TaskAssigned, UserSignedUp};
use uuid::Uuid;

use crate::domain::Kind;
use crate::domain::notice::Notice;
use crate::domain::preferences::Setting;
use crate::store;

/// The topics that are read.
pub const TOPICS: [&str; 2] = ["trellis.auth.v1", "trellis.core.v1"];

/// Turns events into notifications and mails.
pub struct Incoming {
    pool: store::Pool,
}

impl Incoming {
    /// Works on this database.
    pub fn new(pool: store::Pool) -> Self {
        Self { pool }
    }
}

#[async_trait]
impl Handler for Incoming {
    async fn begin(&self) -> store::Result<Transaction> {
        ficus_pg::begin(&self.pool, "apply events").await
    }

    async fn fresh(&self, tx: &mut Transaction, ids: &[Uuid]) -> store::Result<HashSet<Uuid>> {
        store::inbox_events::fresh(tx, ids).await
    }

    async fn parked(
        &self,
        tx: &mut Transaction,
        events: &[&Event],
    ) -> store::Result<HashSet<Uuid>> {
        let topics: Vec<String> = events.iter().map(|event| event.topic.clone()).collect();
        let keys: Vec<String> = events.iter().map(|event| event.key.clone()).collect();
        let positions = store::inbox_events::parked(tx, &topics, &keys).await?;
        Ok(positions.into_iter().filter_map(|at| Some(events.get(at)?.id)).collect())
    }

    async fn park(&self, tx: &mut Transaction, event: &Event, reason: &str) -> store::Result<()> {
        store::inbox_events::park(tx, &event.topic, &event.key, event.id, reason).await
    }

    async fn follow(&self, tx: &mut Transaction, event: &Event) -> store::Result<bool> {
        store::inbox_events::follow(tx, &event.topic, &event.key, event.id).await
    }

    async fn unpark(
        &self,
        tx: &mut Transaction,
        topic: &str,
        key: &str,
        redriven: &[Uuid],
    ) -> store::Result<bool> {
        store::inbox_events::unpark(tx, topic, key, redriven).await
    }

    async fn apply(&self, tx: &mut Transaction, event: &Event) -> Result<(), ApplyError> {
        for notice in notices(event)? {
            tell(tx, &notice).await?;
        }
        Ok(())
    }
}

/// Who is to be told what by this event. Kinds of event that are not known concern nobody.
fn notices(event: &Event) -> Result<Vec<Notice>, ApplyError> {
    Ok(match event.kind.as_str() {
        "trellis.events.v1.UserSignedUp" => {
            let said: UserSignedUp = read(event)?;
            vec![Notice::welcome(said.user_id, said.workspace_id)]
        }
        "trellis.events.v1.TaskAssigned" => {
            let said: TaskAssigned = read(event)?;
            vec![Notice::assignment(
                said.assignee_id,
                said.workspace_id,
                said.actor_id,
                said.task_id,
                event.version,
            )]
        }
        "trellis.events.v1.CommentCreated" => {
            let said: CommentCreated = read(event)?;
            mentions(&said)
        }
        _ => Vec::new(),
    })
}

fn mentions(said: &CommentCreated) -> Vec<Notice> {
    let mentioned = said.mentioned_user_ids.iter();
    mentioned
        .map(|user_id| {
            let (workspace, author) = (said.workspace_id, said.author_id);
            Notice::mention(*user_id, workspace, author, said.task_id, said.comment_id)
        })
        .collect()
}

fn read<M: Message + Default>(event: &Event) -> Result<M, ApplyError> {
    M::decode(event.payload.clone())
        .map_err(|error| ApplyError::Rejected(format!("failed to read {}: {error}", event.kind)))
}

/// Tells the person as they have chosen; the welcome always.
async fn tell(tx: &mut Transaction, notice: &Notice) -> store::Result<()> {
    let setting = match notice.kind {
        Kind::Welcome => Setting::default(),
        kind => store::preferences::read_in(tx, notice.user_id).await?.of(kind),
    };
    if setting.in_app {
        store::inbox::add(tx, notice).await?;
    }
    if setting.email {
        store::mails::queue(tx, notice).await?;
    }
    Ok(())
}
