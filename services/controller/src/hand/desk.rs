//! What is needed to take one move in hand.

use std::time::Instant;

use ficus_control_api::subject::Subject;
use ficus_mover::{Definition, Mover, Side};
use tokio::sync::watch;

use super::InHand;
use crate::{
    domain::{Phase, Progress},
    error::Result,
    peers,
    store::{Hand, Store},
    switch::heal,
};

/// One capability's databases and the control database.
#[derive(Clone)]
pub struct Desk {
    capability: String,
    store: Store,
    monolith_url: String,
    service_url: String,
    /// Where the monolith's process is, and the service's.
    processes: [String; 2],
}

impl Desk {
    pub fn new(capability: &str, subject: &Subject, store: Store) -> Result<Self> {
        let entry = subject.capability(capability)?;
        Ok(Self {
            capability: capability.to_owned(),
            store,
            monolith_url: subject.monolith.database.url()?,
            service_url: entry.database.url()?,
            processes: [subject.monolith.url.clone(), entry.service.clone()],
        })
    }

    pub fn capability(&self) -> &str {
        &self.capability
    }

    fn url(&self, side: Side) -> &str {
        match side {
            Side::Monolith => &self.monolith_url,
            Side::Service => &self.service_url,
        }
    }

    /// How far one side's relay is behind.
    pub async fn relay_lag(&self, side: Side) -> Result<ficus_events::Lag> {
        peers::relay::lag(self.url(side), &self.capability).await
    }

    /// Why a side could answer no request, if nothing takes connections where its process is to be.
    pub async fn absent(&self, side: Side) -> Option<String> {
        let [monolith, service] = &self.processes;
        let url = if side == Side::Monolith { monolith } else { service };
        let error = peers::process::takes_connections(url).await.err()?;
        Some(format!("the {side} takes no connections at {url}: {error}"))
    }

    /// A mover with connections of its own.
    pub fn mover(&self, definition: Definition) -> Result<Mover> {
        Ok(Mover::connect(&self.capability, definition, &self.monolith_url, &self.service_url)?)
    }

    /// Takes the move in hand: raises the attempt in the control database, ends what older attempts have
    /// open, and makes both databases agree with the control row. `undecided` is the attempt of this process that is
    /// over without having asked for C6: if it was the last one, its owner is the owner, whoever does not answer.
    pub(crate) async fn take(
        &self,
        why: &str,
        progress: &watch::Sender<Progress>,
        undecided: Option<i64>,
    ) -> Result<InHand> {
        let (hand, facts) = self.store.raise(&self.capability, why).await?;
        let definition = self.store.definition(&self.capability).await?;
        let topics = definition.topics.clone();
        let mover = self.mover(definition)?;
        let mut in_hand = self.in_hand(hand, facts, mover, progress);
        in_hand.topics = topics;
        match Phase::of(&in_hand.facts) {
            // What an older attempt still does here ends now; the rest is done in the move's next turn.
            Some(Phase::Cancelling) => heal::take_over(&in_hand).await?,
            Some(Phase::Planned) => heal::take_back_preparation(&in_hand).await?,
            _ if in_hand.facts.prepared && in_hand.facts.unfinished => {
                let undecided = undecided.is_some_and(|last| last + 1 == in_hand.hand.attempt);
                heal::agree(&mut in_hand, undecided).await?;
            }
            _ => {}
        }
        in_hand.refresh().await?;
        progress.send_modify(|progress| {
            progress.trouble.clear();
            progress.round_at = Some(Instant::now());
        });
        Ok(in_hand)
    }

    fn in_hand(
        &self,
        hand: Hand,
        facts: crate::domain::Facts,
        mover: Mover,
        progress: &watch::Sender<Progress>,
    ) -> InHand {
        InHand {
            desk: self.clone(),
            hand,
            facts,
            mover,
            follower: None,
            topics: Vec::new(),
            handover: None,
            progress: progress.clone(),
            vdiffs: Vec::new(),
            capture_checked: Instant::now(),
            stumbles: 0,
            no_chunks_until: Instant::now(),
            fence_asked: None,
            c6_asked: false,
        }
    }
}
