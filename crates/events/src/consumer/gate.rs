//! When this side may work.

use std::time::Duration;

use ficus_owners::{Guard, Owners, Side, View};

/// *Pending* can also end by time, without a word.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// So long a consumer leaves its place to another of its own side.
const WITHOUT_ANOTHER_SIDE: Duration = Duration::from_secs(5);

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

    /// Waits until the view is younger than the call, however long the control database is away. The first
    /// word that comes may have been on its way already; the second is asked for after the first has come.
    /// Where no control database is asked there is no other side, and only a while has to pass.
    pub async fn heard_anew(&self) {
        let mut views = self.owners.subscribe(&self.capability);
        for _ in 0..2 {
            if views.changed().await.is_err() {
                return tokio::time::sleep(WITHOUT_ANOTHER_SIDE).await;
            }
        }
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

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn a_view_is_younger_from_the_second_word_on_also_if_it_is_the_same() {
        let view = View { epoch: 1, ..View::NO_MOVE };
        let owners = Owners::fixed([("library".to_owned(), view)]);
        let gate = Gate::new(owners.clone(), "library".into(), Side::Monolith);
        let mut heard = pin!(gate.heard_anew());
        assert!(heard.as_mut().now_or_never().is_none());
        owners.set("library", view);
        assert!(heard.as_mut().now_or_never().is_none());
        owners.set("library", view);
        assert!(heard.as_mut().now_or_never().is_some());
    }
}
