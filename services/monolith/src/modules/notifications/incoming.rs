//! What this module hears through the broker, once mail is queued.

use std::collections::HashSet;

use async_trait::async_trait;
use ficus_events::{ApplyError, Event, Handler};
use ficus_pg::Transaction;
use prost::Message;
use trellis_contracts::events::v1::{CommentCreated, TaskAssigned, UserSignedUp};
use uuid::Uuid;

use super::domain::News;
use super::store::{self, Result, Store};

/// The topics that are read.
pub const TOPICS: [&str; 2] = ["trellis.auth.v1", "trellis.core.v1"];

/// Applies events to this module's tables.
pub struct Incoming(pub Store);

#[async_trait]
impl Handler for Incoming {
    async fn begin(&self) -> Result<Transaction> {
        self.0.begin("apply events").await
    }

    async fn fresh(&self, tx: &mut Transaction, ids: &[Uuid]) -> Result<HashSet<Uuid>> {
        store::fresh(tx, ids).await
    }

    async fn parked(&self, tx: &mut Transaction, events: &[&Event]) -> Result<HashSet<Uuid>> {
        let topics: Vec<String> = events.iter().map(|event| event.topic.clone()).collect();
        let keys: Vec<String> = events.iter().map(|event| event.key.clone()).collect();
        let positions = store::parked(tx, &topics, &keys).await?;
        Ok(positions.into_iter().filter_map(|at| Some(events.get(at)?.id)).collect())
    }

    async fn park(&self, tx: &mut Transaction, event: &Event, reason: &str) -> Result<()> {
        store::park(tx, &event.topic, &event.key, event.id, reason).await
    }

    async fn follow(&self, tx: &mut Transaction, event: &Event) -> Result<bool> {
        store::follow(tx, &event.topic, &event.key, event.id).await
    }

    async fn unpark(
        &self,
        tx: &mut Transaction,
        topic: &str,
        key: &str,
        redriven: &[Uuid],
    ) -> Result<bool> {
        store::unpark(tx, topic, key, redriven).await
    }

    async fn apply(
        &self,
        tx: &mut Transaction,
        event: &Event,
    ) -> std::result::Result<(), ApplyError> {
        if let Some(notice) = news(event)?.and_then(|news| news.notice()) {
            store::tell(tx, &notice, false).await?;
        }
        Ok(())
    }
}

/// What the event says. A kind that is not known concerns nobody here.
fn news(event: &Event) -> std::result::Result<Option<News>, ApplyError> {
    let version = event.version;
    Ok(match event.kind.as_str() {
        "trellis.events.v1.UserSignedUp" => {
            let UserSignedUp { user_id, workspace_id } = read(event)?;
            Some(News::SignedUp { user_id, workspace_id, version })
        }
        "trellis.events.v1.TaskAssigned" => {
            let TaskAssigned { task_id, workspace_id, actor_id, assignee_id } = read(event)?;
            Some(News::TaskAssigned { task_id, workspace_id, actor_id, assignee_id, version })
        }
        "trellis.events.v1.CommentCreated" => {
            let said: CommentCreated = read(event)?;
            Some(News::CommentCreated {
                comment_id: said.comment_id,
                task_id: said.task_id,
                workspace_id: said.workspace_id,
                author_id: said.author_id,
                mentioned: said.mentioned_user_ids,
                version,
            })
        }
        _ => None,
    })
}

fn read<M: Message + Default>(event: &Event) -> std::result::Result<M, ApplyError> {
    M::decode(event.payload.clone())
        .map_err(|error| ApplyError::Rejected(format!("failed to read {}: {error}", event.kind)))
}
