//! What one request waits for, and how long.

use std::sync::Arc;

use http::Method;
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, timeout_at},
};

use crate::{
    Choice, Ownership, Refusal, Side, View,
    hold::{Shared, reads},
    metrics::Counted,
};

/// What one request has waited for so far.
pub(crate) struct Holding<'a, O> {
    shared: &'a Shared<O>,
    /// Since when and until when it is held, once it is.
    held: Option<Held>,
    /// Whose fence it waits for, and when that opens for others.
    waits: Option<(Arc<str>, watch::Receiver<u64>)>,
}

struct Held {
    until: Instant,
    counted: Counted,
    _place: OwnedSemaphorePermit,
}

pub(crate) type Chosen<G> = (Choice, Option<View>, Option<G>);

impl<'a, O: Ownership> Holding<'a, O> {
    pub(crate) fn new(shared: &'a Shared<O>) -> Self {
        Self { shared, held: None, waits: None }
    }

    /// Who answers now; waits while nobody may.
    pub(crate) async fn choose(
        &mut self,
        capability: Option<&Arc<str>>,
        method: &Method,
        repeatable: bool,
    ) -> Result<Chosen<O::Guard>, Refusal> {
        let Some(name) = capability else {
            return Ok((Choice { side: Side::Monolith, epoch: 0 }, None, None));
        };
        if self.waits.is_none() && repeatable && !reads(method) {
            self.while_shut(name).await?;
        }
        if let Some(chosen) = self.may_send(name, method, repeatable) {
            return Ok(chosen);
        }
        let until = self.begin(name)?;
        loop {
            let changed = self.shared.owners.changed(name);
            if let Some(chosen) = self.may_send(name, method, repeatable) {
                return Ok(chosen);
            }
            timeout_at(until, changed).await.map_err(|_| Refusal::HeldTooLong(name.clone()))?;
        }
    }

    /// A read needs a fresh view. A write that cannot be repeated takes a guard first and looks again, so
    /// that a switch either waits for it or is seen by it.
    fn may_send(
        &self,
        name: &Arc<str>,
        method: &Method,
        repeatable: bool,
    ) -> Option<Chosen<O::Guard>> {
        let owners = &self.shared.owners;
        if reads(method) && !owners.may_read(name) {
            return None;
        }
        let guard = (!repeatable).then(|| owners.begin(name));
        let view = owners.view(name);
        if guard.is_some() && view.pending {
            return None;
        }
        Some((Choice { side: view.owner, epoch: view.epoch }, Some(view), guard))
    }

    /// Once the fence of a switch has refused one write it would refuse this one too, at the price of a transaction,
    /// while the switch needs the processors: it waits like those that were refused.
    async fn while_shut(&mut self, name: &Arc<str>) -> Result<(), Refusal> {
        let gate = &self.shared.gates[name];
        if !gate.is_shut() {
            return Ok(());
        }
        // Before another look, so that no opening is missed.
        let openings = gate.openings();
        let view = self.shared.owners.view(name);
        if !view.pending {
            gate.set_shut(false);
        } else if gate.is_shut() {
            self.waits = Some((name.clone(), openings));
            self.until_changed(name, Some(view)).await?;
        }
        Ok(())
    }

    /// The fence of this capability has refused it under the view `sent`, if that is known; waits until another attempt
    /// may fare better.
    pub(crate) async fn was_refused(
        &mut self,
        name: &Arc<str>,
        sent: Option<View>,
    ) -> Result<(), Refusal> {
        self.shared.gates[name].set_shut(true);
        self.until_changed(name, sent).await
    }

    /// Waits until the switch is over, another held request was answered, or it is this one's turn to try.
    async fn until_changed(
        &mut self,
        name: &Arc<str>,
        mut sent: Option<View>,
    ) -> Result<(), Refusal> {
        let until = self.begin(name)?;
        let shared = self.shared;
        let gate = &shared.gates[name];
        self.waits.take_if(|(before, _)| before != name);
        let (_, openings) = self.waits.get_or_insert_with(|| (name.clone(), gate.openings()));
        let turn = gate.turn();
        tokio::pin!(turn);
        loop {
            let changed = shared.owners.changed(name);
            let now = shared.owners.view(name);
            if sent.is_some_and(|sent| settled(sent, now)) {
                return Ok(());
            }
            sent = Some(now);
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(until) => {
                    return Err(Refusal::HeldTooLong(name.clone()));
                }
                () = changed => {}
                _ = openings.changed() => return Ok(()),
                () = &mut turn => return Ok(()),
            }
        }
    }

    /// Takes a place among the held, once.
    fn begin(&mut self, name: &Arc<str>) -> Result<Instant, Refusal> {
        if let Some(held) = &self.held {
            return Ok(held.until);
        }
        let permit = self.shared.held.clone().try_acquire_owned();
        let place = permit.map_err(|_| Refusal::TooManyHeld(name.clone()))?;
        let until = Instant::now() + self.shared.limits.hold;
        self.held = Some(Held { until, counted: Counted::new(name.clone()), _place: place });
        Ok(until)
    }

    /// The request has an answer that is not a refusal.
    pub(crate) fn answered(&mut self) {
        if let Some((name, _)) = &self.waits {
            self.shared.gates[name].open();
        }
        if let Some(held) = &mut self.held {
            held.counted.answered();
        }
    }
}

/// Whether a refusal under the one view is gone under the other: the owner changed or the switch that was pending is
/// over, and none is pending. While one is, the new owner is not open yet, and all who wait would only be refused again,
/// at a price that the opening then waits for.
fn settled(before: View, now: View) -> bool {
    (before.epoch != now.epoch || before.pending) && !now.pending
}
