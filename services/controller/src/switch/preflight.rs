//! C0, first half: everything that stands against a switch, by name. Nothing has begun yet.

use std::time::{Duration, Instant};

use super::{Stop, Way, wait};
use crate::{
    Error,
    domain::{Refusal, Verb, refusal},
    error::Result,
    hand::InHand,
};

/// A follower further behind would make the pause long.
const LAG: Duration = Duration::from_millis(500);
/// A relay further behind would hold the new owner's events for long.
const RELAY_LAG: Duration = Duration::from_millis(200);
/// A registration expires 40 s after it was last heard.
const SILENT_PICKERS: Duration = Duration::from_secs(41);
/// How old the last whole comparison may be. What changes after it is compared again key by key, if capture saw
/// it; what no trigger saw (a hand in the target, a trigger that was off for a while) only a whole one finds. 15
/// minutes let a person read its result and decide.
const FRESH: Duration = Duration::from_mins(15);
/// What a refusal is called for want of a comparison, by the mover too.
const DIFF: &str = "diff";
/// What passes by itself, as lag, is waited for so long.
const PATIENCE: Duration = Duration::from_secs(5);

impl InHand {
    /// Waits for what passes by itself, and refuses what is left.
    pub(super) async fn preflight(&mut self, way: Way) -> Result<(), Stop> {
        self.fits(way)?;
        let mover = self.mover.clone();
        let direction = way.direction;
        let vacuumed =
            self.follow_while(async move { mover.vacuum_target(direction).await }).await?;
        if let Err(error) = vacuumed {
            tracing::warn!(%error, "failed to vacuum the target before the switch");
        }
        let mut start = Instant::now();
        loop {
            self.fits(way)?;
            // Due again where a try before was cut off and the move taken anew.
            self.hand_over().await?;
            // Each time: one that has just been cut off is not missed at once.
            if self.await_pickers().await? {
                start = Instant::now();
            }
            let refusals = self.stands_against(way).await?;
            if refusals.is_empty() {
                return Ok(());
            }
            if start.elapsed() > PATIENCE {
                return Err(Stop::Refused(refusals));
            }
            self.follow_while(tokio::time::sleep(Duration::from_millis(200))).await?;
        }
    }

    /// Whether the move is in a state to be switched at all; a stream may have stopped meanwhile.
    fn fits(&self, way: Way) -> Result<(), Stop> {
        let verb = match way.to {
            ficus_mover::Side::Service => Verb::SwitchTraffic,
            ficus_mover::Side::Monolith => Verb::ReverseTraffic,
        };
        refusal(verb, &self.facts).map_or(Ok(()), |refusal| Err(Stop::Refused(vec![refusal])))
    }

    /// A picker that is cut off cannot know of the switch: it is waited for until it is heard, or until
    /// its registration has expired. Whether there was one.
    async fn await_pickers(&mut self) -> Result<bool, Stop> {
        let (hand, epoch) = (self.hand.clone(), self.facts.epoch);
        hand.store.not_from_the_future(&hand.capability).await?;
        let ask = || hand.store.not_current(&hand.capability, epoch);
        let first = ask().await?;
        if first.all_have() {
            return Ok(false);
        }
        let text = format!("waiting for {}", first.missing.join(", "));
        hand.note("C0", &text).await?;
        let waiting = wait::for_all(SILENT_PICKERS, Duration::from_millis(100), ask);
        let left = self.follow_while(waiting).await??;
        if left.all_have() { Ok(true) } else { Err(Stop::Refused(vec![late(&left.missing)])) }
    }

    /// Everything that stands against the switch now.
    pub(super) async fn stands_against(&self, way: Way) -> Result<Vec<Refusal>> {
        let found = self.mover.preflight(way.direction).await?;
        let mut refusals: Vec<Refusal> = found.into_iter().map(Into::into).collect();
        if refusals.iter().all(|refusal| refusal.name != DIFF) {
            refusals.extend(self.diff_refusal().await?);
        }
        refusals.extend(self.stream_refusals());
        if let Some(absent) = self.desk.absent(way.to).await {
            refusals.push(Refusal::new(
                "process",
                absent,
                "start it, or mend its address in ficus.toml",
            ));
        }
        refusals.extend(self.relay_refusals(way).await?);
        let missing = self.hand.store.not_current(&self.hand.capability, self.facts.epoch).await?;
        if !missing.all_have() {
            refusals.push(late(&missing.missing));
        }
        Ok(refusals)
    }

    async fn diff_refusal(&self) -> Result<Option<Refusal>> {
        if !self.facts.diff.is_some_and(|diff| diff.clean) {
            let reason = "both sides have not been compared equal";
            return Ok(Some(Refusal::new(DIFF, reason, "`vdiff` compares them and waits")));
        }
        let age = self.hand.store.since_diff(&self.hand.capability).await?;
        Ok(age.is_none_or(|age| age >= FRESH).then(|| {
            let minutes = FRESH.as_secs() / 60;
            let reason = format!("both sides were last compared whole over {minutes} minutes ago");
            let next =
                format!("`ficus move {} vdiff` compares them and waits", self.hand.capability);
            Refusal::new(DIFF, reason, next)
        }))
    }

    fn stream_refusals(&self) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let progress = self.progress.borrow();
        if progress.lag >= LAG {
            let reason = format!("the stream is {} ms behind", progress.lag.as_millis());
            refusals.push(Refusal::new("lag", reason, "wait until it is under 500 ms"));
        }
        if !progress.trouble.is_empty() {
            refusals.push(Refusal::new("stream", progress.trouble.clone(), "mend that first"));
        }
        if self.handover.is_some() {
            let other = self.facts.owner.other();
            let reason =
                format!("the {other}'s relay has not yet sent all that it had at the last switch");
            let next = format!("see that the {other}'s process and the broker run");
            refusals.push(Refusal::new("relay", reason, next));
        }
        refusals
    }

    async fn relay_refusals(&self, way: Way) -> Result<Vec<Refusal>> {
        let lag = match self.desk.relay_lag(way.from).await {
            Ok(lag) => lag,
            Err(Error::Relay(error)) => {
                let reason = format!("the {}'s relay cannot be measured: {error}", way.from);
                let next = "see that its database answers; a long backlog takes long to count";
                return Ok(vec![Refusal::new("relay", reason, next)]);
            }
            Err(error) => return Err(error),
        };
        let mut refusals = Vec::new();
        if let Some(reason) = lag.stopped {
            refusals.push(Refusal::new("relay", reason, "mend what stopped it"));
        } else if lag.age >= RELAY_LAG {
            let reason = format!("the {}'s relay is {} ms behind", way.from, lag.age.as_millis());
            let sends = if lag.held { way.from.other() } else { way.from };
            let next = format!("see that the {sends}'s process and the broker run");
            refusals.push(Refusal::new("relay", reason, next));
        }
        Ok(refusals)
    }
}

fn late(missing: &[String]) -> Refusal {
    let reason = format!("not at the present epoch or silent: {}", missing.join(", "));
    Refusal::new(
        "pickers",
        reason,
        "see that they run and reach the control database; one that is gone for good: \
         DELETE FROM picker WHERE picker = '…' in the control database",
    )
}
