//! Who leads. The lease gives permission to raise attempts, nothing else; while this controller holds it,
//! every unfinished move is in its hands.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use ficus_control_api::subject::Subject;
use ficus_mover::Definition;
use ficus_process::Shutdown;
use ficus_rpc::Error as Answer;
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
    time::{sleep, timeout},
};

use crate::{
    domain::{Outcome, Progress, Refusal, Verb, refusal},
    error::Result,
    hand::{self, Command, Desk, Findings, Options},
    store::{Holder, Store},
};

/// The lease lasts 1.5 s and is renewed every 0.5 s.
const LEASE: Duration = Duration::from_millis(1_500);
const RENEW: Duration = Duration::from_millis(500);
/// Without the lease there is nothing to lose by waiting; each statement has 2 s of its own.
const WITHOUT_LEASE: Duration = Duration::from_secs(3);

/// A verb that this controller cannot take.
#[derive(Debug)]
pub enum Refused {
    /// Another one leads, perhaps at this address.
    NotLeader(Option<String>),
    Failed(Answer),
}

impl From<crate::Error> for Refused {
    fn from(error: crate::Error) -> Self {
        Self::Failed(Answer::from(&error))
    }
}

/// The lease, and the moves in hand.
pub struct Leader {
    pub store: Store,
    subject: Subject,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Who led when it was last asked.
    holder: Option<Holder>,
    /// Set while this controller leads.
    hands: Option<HashMap<String, Handle>>,
}

/// A move in hand, as the leader commands it. The task ends with it.
struct Handle {
    commands: mpsc::Sender<Command>,
    progress: watch::Receiver<Progress>,
    task: AbortHandle,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Leader {
    pub fn new(store: Store, subject: Subject) -> Self {
        Self { store, subject, state: Mutex::default() }
    }

    /// Takes the lease when it can be had, and leads while it lasts.
    pub async fn run(self: Arc<Self>, shutdown: Shutdown) {
        let mut valid_until = Instant::now();
        while !shutdown.is_requested() {
            let asked = Instant::now();
            let left = valid_until.saturating_duration_since(asked);
            let patience = if left.is_zero() { WITHOUT_LEASE } else { left.min(LEASE / 2) };
            match timeout(patience, self.store.lease()).await {
                Ok(Ok(holder)) => {
                    let own = holder.as_ref().is_some_and(|holder| self.store.is_own(holder));
                    if own && asked.elapsed() < LEASE {
                        valid_until = asked + LEASE;
                        self.lead(holder).await;
                    } else {
                        self.resign(holder);
                    }
                }
                failed => {
                    let error = failed.map_or_else(
                        |_| "no answer".to_owned(),
                        |answer| answer.err().map(|error| error.to_string()).unwrap_or_default(),
                    );
                    tracing::warn!(error, "failed to renew the lease");
                }
            }
            if Instant::now() >= valid_until {
                self.resign(None);
            }
            tokio::select! {
                () = sleep(RENEW.saturating_sub(asked.elapsed())) => {}
                () = shutdown.requested() => {}
            }
        }
        self.resign(None);
        if let Err(error) = self.store.give_back().await {
            tracing::warn!(%error, "failed to give the lease back; it ends by itself");
        }
    }

    /// Takes every unfinished move in hand that is not in hand yet: all of them in the beginning, before which it does
    /// not lead; later one whose `create` was carried out though its answer was lost.
    async fn lead(&self, holder: Option<Holder>) {
        let first = {
            let mut state = self.lock();
            state.holder = holder;
            state.hands.is_none()
        };
        if !first {
            self.mend();
        }
        // A renewal must not come late by it.
        let patience = if first { WITHOUT_LEASE } else { RENEW };
        let moves = timeout(patience, self.store.moves()).await;
        match moves.unwrap_or(Err(crate::Error::ControlSilent)) {
            Ok(moves) => {
                if first {
                    tracing::info!("leading");
                    self.lock().hands = Some(HashMap::new());
                }
                // One that was created meanwhile is in hand, and may be obeying already.
                for facts in moves.into_iter().filter(|facts| facts.unfinished) {
                    if self.commands(&facts.capability).is_none() {
                        self.take_in_hand(&facts.capability);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "failed to read the moves"),
        }
    }

    /// A task that has ended, which only a defect can do, is begun anew.
    fn mend(&self) {
        let ended: Vec<String> = {
            let state = self.lock();
            let hands = state.hands.iter().flatten();
            hands
                .filter(|(_, hand)| hand.task.is_finished())
                .map(|(name, _)| name.clone())
                .collect()
        };
        for capability in ended {
            tracing::error!(capability, "the move's task has ended; taking the move anew");
            self.take_in_hand(&capability);
        }
    }

    fn resign(&self, holder: Option<Holder>) {
        let mut state = self.lock();
        if state.hands.take().is_some() {
            tracing::info!("leading no longer");
        }
        if holder.is_some() {
            state.holder = holder;
        }
    }

    /// Nothing to do if it is in hand already: whoever writes a move down and whoever takes stock may both come here.
    fn take_in_hand(&self, capability: &str) {
        let desk = match Desk::new(capability, &self.subject, self.store.clone()) {
            Ok(desk) => desk,
            Err(error) => {
                tracing::error!(%error, capability, "failed to take the move in hand");
                return;
            }
        };
        let (commands, received) = mpsc::channel(16);
        let (progress, seen) = watch::channel(Progress::default());
        let mut state = self.lock();
        let Some(hands) = &mut state.hands else { return };
        if hands.get(capability).is_some_and(|hand| !hand.task.is_finished()) {
            return;
        }
        let task = tokio::spawn(hand::keep(desk, received, progress)).abort_handle();
        hands.insert(capability.to_owned(), Handle { commands, progress: seen, task });
    }

    /// A move that was cancelled stays in hand as that, until it is created anew.
    fn let_go(&self, capability: &str) {
        if let Some(hands) = &mut self.lock().hands {
            hands.remove(capability);
        }
    }

    /// Fails unless this controller leads.
    pub fn leads(&self) -> Result<(), Refused> {
        let state = self.lock();
        if state.hands.is_some() {
            return Ok(());
        }
        Err(Refused::NotLeader(state.holder.as_ref().map(|holder| holder.address.clone())))
    }

    /// Fails unless `ficus.toml` has this capability.
    pub fn knows(&self, capability: &str) -> Result<(), Refused> {
        self.subject.capability(capability).map_err(crate::Error::from)?;
        Ok(())
    }

    /// The leader's address, as it is known here.
    pub fn address(&self) -> String {
        self.lock().holder.as_ref().map(|holder| holder.address.clone()).unwrap_or_default()
    }

    /// How far the stream of a move in hand is.
    pub fn progress(&self, capability: &str) -> Option<Progress> {
        let state = self.lock();
        Some(state.hands.as_ref()?.get(capability)?.progress.borrow().clone())
    }

    /// Writes a move down from its folder, and takes it in hand.
    pub async fn create(&self, capability: &str, dry_run: bool) -> Result<Outcome, Refused> {
        self.leads()?;
        let entry = self.subject.capability(capability).map_err(crate::Error::from)?;
        let folder = self.subject.path(&entry.move_folder);
        let definition = Definition::read(&folder).map_err(crate::Error::from)?;
        let line = format!("write the move of {capability} down from {}", folder.display());
        if dry_run {
            return Ok(Outcome::plan(&[&line], vec![]));
        }
        if self.store.create(capability, &definition).await? {
            self.let_go(capability);
            self.take_in_hand(capability);
            return Ok(Outcome::done(["written down; `prepare` checks it and installs capture"]));
        }
        let reason = format!("there is a move of {capability} already");
        Ok(Outcome::refused(vec![Refusal::new("state", reason, "`status` shows it")]))
    }

    /// Has a move in hand obey; waits for the outcome, however long.
    pub async fn command(
        &self,
        capability: &str,
        verb: Verb,
        options: Options,
    ) -> Result<Outcome, Refused> {
        self.leads()?;
        let Some(commands) = self.commands(capability) else {
            return self.not_in_hand(capability, verb).await;
        };
        let (answer, answered) = oneshot::channel();
        let lost = || {
            let detail = "this controller lost the move meanwhile; ask for the status";
            Refused::Failed(Answer::unavailable("lost_in_hand", detail))
        };
        commands.send(Command { verb, options, answer }).await.map_err(|_| lost())?;
        answered.await.map_err(|_| lost())?.map_err(Refused::Failed)
    }

    fn commands(&self, capability: &str) -> Option<mpsc::Sender<Command>> {
        Some(self.lock().hands.as_ref()?.get(capability)?.commands.clone())
    }

    async fn not_in_hand(&self, capability: &str, verb: Verb) -> Result<Outcome, Refused> {
        self.knows(capability)?;
        let facts = self.store.facts(capability).await?;
        let facts = facts.ok_or_else(|| crate::Error::NoMove(capability.to_owned()))?;
        let against = refusal(verb, &facts).unwrap_or_else(|| {
            Refusal::new(
                "state",
                "the move is not in hand",
                "see that ficus.toml names its databases",
            )
        });
        Ok(Outcome::refused(vec![against]))
    }

    /// Looks over one move.
    pub async fn doctor(&self, capability: &str) -> Result<Findings, Refused> {
        let desk = Desk::new(capability, &self.subject, self.store.clone())?;
        let found = desk.doctor(&self.store, || self.progress(capability)).await?;
        Ok(found.ok_or_else(|| crate::Error::NoMove(capability.to_owned()))?)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
