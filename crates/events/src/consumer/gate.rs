//! When this side may work.

use std::time::Duration;

use ficus_owners::{Guard, Owners, Side, View};

/// *Pending* can also end by time, without a word.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// One capability as one side sees it.
pub struct Gate {
    owners: Owners,
    capability: String,
    side: Side,
}

/// This side no longer owns the capability.
#[derive(Debug)]
pub struct NotOwner;

impl Gate {
    pub fn new(owners: Owners, capability: String, side: Side) -> Self {
        Self { owners, capability, side }
    }

    /// Waits until this side owns the capability and no switch is pending; answers the epoch.
    pub async fn owned(&self) -> i64 {
        self.wait_for(|view| view.owner == self.side && view.pending.is_none()).await.epoch
    }

    /// Waits until this side does not own the capability.
    pub async fn lost(&self) {
        self.wait_for(|view| view.owner != self.side).await;
    }

    /// Waits until the epoch is another.
    pub async fn changed(&self, epoch: i64) {
        self.wait_for(|view| view.epoch != epoch).await;
    }

    async fn wait_for(&self, wanted: impl FnMut(&View) -> bool) -> View {
        let mut views = self.owners.subscribe(&self.capability);
        let found = views.wait_for(wanted).await.map(|view| *view);
        match found {
            Ok(view) => view,
            // Nobody will ever say.
            Err(_) => std::future::pending().await,
        }
    }

    /// Leave to begin one piece of work, for as long as the guard lives. Waits while a switch is pending.
    pub async fn enter(&self) -> Result<Guard, NotOwner> {
        let mut views = self.owners.subscribe(&self.capability);
        loop {
            views.mark_unchanged();
            if let Some(guard) = self.owners.may_work(&self.capability, self.side) {
                return Ok(guard);
            }
            if self.owners.view(&self.capability).owner != self.side {
                return Err(NotOwner);
            }
            let _ = tokio::time::timeout(LOOK_AGAIN, views.changed()).await;
        }
    }
}
