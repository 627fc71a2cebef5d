//! One move in hand: a task of the leader that follows, obeys verbs, and takes the move anew after every
//! failure that leaves its state open.
//!
//! [`keep`] is the task. [`take`](Desk::take) raises the attempt and makes both databases agree with the
//! control row; after that [`InHand`] works until it loses the move.

mod desk;
mod doctor;
mod follow;
mod handover;
mod vdiff;
mod verbs;

use std::time::{Duration, Instant};

use ficus_mover::{Follower, Mover, Side};
use ficus_rpc::Error as Answer;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

pub use desk::Desk;
pub use doctor::Findings;

use crate::{
    domain::{Facts, Outcome, Phase, Progress, Verb, refusal},
    error::Result,
    store::Hand,
};

/// After a failed take the move is tried again so soon.
const TAKE_AGAIN: Duration = Duration::from_millis(300);

/// A verb for one move, and who waits for its outcome.
pub struct Command {
    pub verb: Verb,
    pub options: Options,
    pub answer: oneshot::Sender<Result<Outcome, Answer>>,
}

/// What verbs take beside their name.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    pub dry_run: bool,
    /// How often a switch is tried in all.
    pub tries: u32,
    /// How long the service must have owned before the way back is given up.
    pub soak: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { dry_run: false, tries: 3, soak: Duration::from_hours(24) }
    }
}

/// A move that this controller's attempt holds.
pub(crate) struct InHand {
    pub(crate) desk: Desk,
    pub(crate) hand: Hand,
    pub(crate) facts: Facts,
    pub(crate) mover: Mover,
    /// What the capability publishes.
    pub(crate) topics: Vec<String>,
    /// Made when it is needed; dropped after every error.
    pub(crate) follower: Option<Follower>,
    /// The old owner's snapshot that its relay has yet to confirm before the new owner's relay goes on.
    pub(crate) handover: Option<String>,
    pub(crate) progress: watch::Sender<Progress>,
    /// When C1's lock was asked for, in the switch that is under way.
    pub(crate) fence_asked: Option<Instant>,
    /// C6 was asked for in the switch that is under way, and may have happened.
    pub(crate) c6_asked: bool,
    vdiffs: Vec<oneshot::Sender<Result<Outcome, Answer>>>,
    capture_checked: Instant,
    stumbles: u32,
    /// Until then customers have the source to themselves, but for what has changed.
    no_chunks_until: Instant,
}

/// Keeps one move in hand until nobody can command it any more.
pub async fn keep(
    desk: Desk,
    mut commands: mpsc::Receiver<Command>,
    progress: watch::Sender<Progress>,
) {
    let mut why = "taken in hand";
    loop {
        match desk.take(why, &progress, None).await {
            Ok(mut in_hand) => {
                let taken = Instant::now();
                let Err(error) = Box::pin(in_hand.work(&mut commands)).await else { return };
                tracing::warn!(%error, capability = desk.capability(), "taking the move anew");
                if taken.elapsed() < TAKE_AGAIN {
                    refuse(&mut commands, &progress, &error);
                }
                why = "taken in hand anew after a failure";
                // What fails at once fails again: neither the journal nor the databases need to hear it so often.
                tokio::time::sleep(TAKE_AGAIN.saturating_sub(taken.elapsed())).await;
            }
            Err(error) => {
                tracing::warn!(%error, capability = desk.capability(), "failed to take the move in hand");
                refuse(&mut commands, &progress, &error);
                tokio::time::sleep(TAKE_AGAIN).await;
            }
        }
    }
}

/// Says why the move does not stay in hand, to the status and to those who wait.
fn refuse(
    commands: &mut mpsc::Receiver<Command>,
    progress: &watch::Sender<Progress>,
    error: &crate::Error,
) {
    progress.send_modify(|progress| progress.trouble = format!("not in hand: {error}"));
    let detail = format!("the move is being taken in hand, which fails so far: {error}");
    while let Ok(command) = commands.try_recv() {
        let answer = Answer::unavailable("not_in_hand", detail.clone());
        let _ = command.answer.send(Err(answer));
    }
}

impl InHand {
    /// Follows and obeys until the commands end, or an error leaves the state of the move open.
    async fn work(&mut self, commands: &mut mpsc::Receiver<Command>) -> Result<()> {
        loop {
            let rest = self.turn().await?;
            match timeout(rest, commands.recv()).await {
                Ok(Some(command)) => self.obey(command).await?,
                Ok(None) => return Ok(()),
                Err(_) => {}
            }
        }
    }

    /// What is done without being told; how long to rest after it.
    async fn turn(&mut self) -> Result<Duration> {
        match Phase::of(&self.facts) {
            Some(Phase::Completing) => self.finish_completion().await?,
            Some(Phase::Cancelling) => self.finish_cancellation().await?,
            _ => {}
        }
        self.hand_over().await?;
        if !self.facts.stream.flows() {
            return Ok(if self.handover.is_some() { follow::BUSY } else { follow::IDLE });
        }
        self.check_capture().await?;
        self.follow().await
    }

    /// An error ends the hold: what it left undone is found out by taking the move anew.
    async fn obey(&mut self, command: Command) -> Result<()> {
        let Command { verb, options, answer } = command;
        if answer.is_closed() {
            // Who asked has gone, maybe minutes ago, and has been told of nothing.
            return Ok(());
        }
        if verb == Verb::Vdiff && !options.dry_run {
            return self.vdiff(answer).await;
        }
        match self.act(verb, &options).await {
            Ok(outcome) => {
                let _ = answer.send(Ok(outcome));
                Ok(())
            }
            Err(error) => {
                let told = Answer::from(&error);
                let _ = answer.send(Err(told));
                Err(error)
            }
        }
    }

    async fn act(&mut self, verb: Verb, options: &Options) -> Result<Outcome> {
        if !self.facts.unfinished {
            self.refresh().await?;
            if self.facts.unfinished {
                // By a `create` whose answer was lost; its definition may be another.
                self.take_anew("written down anew").await;
            }
        }
        if let Some(refusal) = refusal(verb, &self.facts) {
            return Ok(self.already(verb).unwrap_or_else(|| Outcome::refused(vec![refusal])));
        }
        match verb {
            Verb::Prepare => self.prepare(options.dry_run).await,
            Verb::Start => self.start(options.dry_run).await,
            Verb::Stop => self.stop(options.dry_run).await,
            Verb::Vdiff => Ok(vdiff::plan()),
            Verb::SwitchTraffic => Box::pin(self.switch(Side::Service, options)).await,
            Verb::ReverseTraffic => Box::pin(self.switch(Side::Monolith, options)).await,
            Verb::Complete => self.complete(options).await,
            Verb::Cancel => self.cancel(options.dry_run).await,
        }
    }

    /// Reads the facts again, after they were changed.
    pub(crate) async fn refresh(&mut self) -> Result<()> {
        let facts = self.hand.store.facts(&self.hand.capability).await?;
        match facts {
            Some(facts) if facts.attempt == self.hand.attempt => self.facts = facts,
            _ => return Err(crate::Error::Stale),
        }
        Ok(())
    }

    /// Loses the hold on purpose and takes the move anew: what it then reads is what has become of it.
    pub(crate) async fn take_anew(&mut self, why: &str) {
        self.follower = None;
        let undecided = (!self.c6_asked).then_some(self.hand.attempt);
        loop {
            match self.desk.take(why, &self.progress, undecided).await {
                Ok(anew) => {
                    let vdiffs = std::mem::take(&mut self.vdiffs);
                    *self = Self { vdiffs, ..anew };
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, capability = self.desk.capability(), "failed to take the move anew");
                    tokio::time::sleep(TAKE_AGAIN).await;
                }
            }
        }
    }
}
