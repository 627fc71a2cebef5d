//! The verbs that are not a switch: prepare, start, stop, complete, cancel.

use chrono::TimeDelta;
use ficus_mover::Side;

use ficus_process::failpoint;

use super::{InHand, Options};
use crate::{
    domain::{Outcome, RENAMED, Refusal, Stream, Verb},
    error::Result,
    switch::heal,
};

impl InHand {
    /// A verb whose end is reached already is done.
    pub(super) fn already(&self, verb: Verb) -> Option<Outcome> {
        let facts = &self.facts;
        let line = match verb {
            Verb::SwitchTraffic if facts.owner == Side::Service => "the service owns it already",
            Verb::ReverseTraffic if facts.owner == Side::Monolith && facts.epoch > 1 => {
                "the monolith owns it already"
            }
            Verb::Stop if facts.stream == Stream::Stopped => "it is stopped already",
            Verb::Complete if facts.retired && !facts.unfinished => "it is completed already",
            Verb::Cancel if !facts.retired && !facts.unfinished => "it is cancelled already",
            _ => return None,
        };
        Some(Outcome::done([line]))
    }

    pub(super) async fn prepare(&mut self, dry_run: bool) -> Result<Outcome> {
        if self.facts.prepared {
            return Ok(Outcome::done(["it is prepared already"]));
        }
        let refusals: Vec<Refusal> =
            self.mover.refusals().await?.into_iter().map(Into::into).collect();
        if dry_run {
            let plan = [
                "check everything that can be refused",
                "install capture on both sides and the fences, that of the service shut",
                "store the cursor that the copy starts from; nothing flows yet",
            ];
            return Ok(Outcome::plan(&plan, refusals));
        }
        if !refusals.is_empty() {
            return Ok(Outcome::refused(refusals));
        }
        let (attempt, epoch) = (self.hand.attempt, self.facts.epoch);
        for side in [self.facts.owner, self.facts.owner.other()] {
            self.mover.raise_token(side, attempt, epoch).await?;
        }
        self.mover.install(attempt, epoch, self.facts.owner).await?;
        failpoint::reach("controller.installed").await;
        self.hand.prepared().await?;
        self.refresh().await?;
        Ok(Outcome::done(["capture and fences are installed; `start` begins the copy"]))
    }

    pub(super) async fn start(&mut self, dry_run: bool) -> Result<Outcome> {
        if self.facts.stream.flows() {
            return Ok(Outcome::done(["it flows already"]));
        }
        let direction = self.facts.owner.outward();
        if dry_run {
            let plan = format!("copy what is not copied yet, then follow, {direction}");
            return Ok(Outcome::plan(&[&plan], vec![]));
        }
        let follower = self.mover.follower(direction, self.facts.epoch).await?;
        let stream = match follower.phase() {
            ficus_mover::Phase::Copying => Stream::Copying,
            _ => Stream::Following,
        };
        self.follower = Some(follower);
        let line = format!("{}, {direction}", stream.as_str());
        self.set_stream(stream, direction, "", "").await?;
        Ok(Outcome::done([line]))
    }

    pub(super) async fn stop(&mut self, dry_run: bool) -> Result<Outcome> {
        let Some(direction) = self.facts.direction else {
            return Ok(Outcome::done(["nothing flows"]));
        };
        if dry_run {
            return Ok(Outcome::plan(&["stop following; `start` goes on from there"], vec![]));
        }
        self.set_stream(Stream::Stopped, direction, "", "stopped by command").await?;
        Ok(Outcome::done(["stopped; `start` goes on from there"]))
    }

    pub(super) async fn complete(&mut self, options: &Options) -> Result<Outcome> {
        let refusals = self.stands_against_completion(options).await?;
        if options.dry_run {
            let plan = [
                "stop the stream back to the monolith: from here there is no way back",
                "rename the monolith's tables away, shut as they are",
                "take capture and views away on both sides",
            ];
            return Ok(Outcome::plan(&plan, refusals));
        }
        if !refusals.is_empty() {
            return Ok(Outcome::refused(refusals));
        }
        self.follower = None;
        self.give_up_vdiffs("the move is being completed");
        self.hand.retired(false, "the way back is given up").await?;
        self.refresh().await?;
        self.finish_completion().await?;
        Ok(Outcome::done(["the monolith's tables are renamed away; the service owns for good"]))
    }

    /// What a completion that was cut off has left to do; may be repeated.
    pub(super) async fn finish_completion(&mut self) -> Result<()> {
        self.mover.complete(self.hand.attempt).await?;
        self.hand.retired(true, RENAMED).await?;
        self.refresh().await
    }

    async fn stands_against_completion(&self, options: &Options) -> Result<Vec<Refusal>> {
        if self.facts.retired {
            return Ok(vec![]);
        }
        let mut refusals: Vec<Refusal> =
            self.mover.preflight_complete().await?.into_iter().map(Into::into).collect();
        if !self.facts.diff.is_some_and(|diff| diff.clean) {
            refusals.push(Refusal::new("diff", "both sides have not been compared equal", "vdiff"));
        }
        if self.handover.is_some() {
            refusals.push(relay_is_behind(Side::Monolith));
        }
        let owned = self.hand.store.since_switch(&self.hand.capability).await?;
        let soak = TimeDelta::from_std(options.soak).unwrap_or(TimeDelta::MAX);
        if owned.is_none_or(|owned| owned < soak) {
            refusals.push(Refusal::new(
                "soak",
                format!("the service has owned it for less than {} s", options.soak.as_secs()),
                "wait, or give a shorter --soak",
            ));
        }
        Ok(refusals)
    }

    pub(super) async fn cancel(&mut self, dry_run: bool) -> Result<Outcome> {
        if dry_run {
            let plan = [
                "stop the stream and empty the service's tables of what was copied",
                if self.facts.has_switched() {
                    "take capture and views away on both sides, and the monolith's fence; the service's tables go on \
                     refusing writes, which may still be on their way there"
                } else {
                    "take capture, fences and views away on both sides"
                },
            ];
            return Ok(Outcome::plan(&plan, vec![]));
        }
        if self.handover.is_some() {
            return Ok(Outcome::refused(vec![relay_is_behind(Side::Service)]));
        }
        self.follower = None;
        self.give_up_vdiffs("the move is being cancelled");
        self.hand.cancelling().await?;
        self.refresh().await?;
        failpoint::reach("controller.cancelling").await;
        self.finish_cancellation().await?;
        Ok(Outcome::done([if self.facts.has_switched() {
            "capture is gone, and what was copied; the service's tables go on refusing writes"
        } else {
            "capture and fences are gone, and what was copied"
        }]))
    }

    /// What a cancellation has left to do that was cut off, also after a preparation that was; may be repeated.
    pub(super) async fn finish_cancellation(&mut self) -> Result<()> {
        heal::take_over(self).await?;
        let attempt = self.hand.attempt;
        self.mover.empty_target(attempt).await?;
        failpoint::reach("controller.cancelling.emptied").await;
        self.mover.uninstall(attempt, self.facts.has_switched()).await?;
        failpoint::reach("controller.cancelling.uninstalled").await;
        self.hand.cancelled().await?;
        self.refresh().await
    }
}

/// Its events would never be sent: the new owner's relay is held until they are.
fn relay_is_behind(side: Side) -> Refusal {
    Refusal::new(
        "relay",
        format!("the {side}'s relay has not yet sent all that it had at the switch"),
        format!("see that the {side} and the broker run, then try again"),
    )
}
