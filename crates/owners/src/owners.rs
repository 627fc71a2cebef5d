//! The handle that a process keeps, and the state behind it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use sqlx::postgres::PgConnectOptions;
use tokio::sync::{Notify, watch};

use crate::{
    Guard, Role, Side, View, session,
    state::{Heard, State},
};

/// Why [`Owners::start`] failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address cannot be read. A control database that is away is no error: it is waited for.
    #[error("failed to read the control database's address: {0}")]
    Address(#[source] sqlx::Error),
    #[error("failed to start a thread: {0}")]
    Thread(#[source] std::io::Error),
}

/// Who owns each capability, as this process acts on it. Clones share one picker.
#[derive(Clone, Debug)]
pub struct Owners(pub(crate) Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub picker: String,
    pub role: Role,
    capabilities: BTreeMap<String, Capability>,
    /// Something may be said now that could not be said before.
    pub wake: Arc<Notify>,
    pub leaving: AtomicBool,
    pub left: Notify,
}

#[derive(Debug)]
struct Capability {
    state: Mutex<State>,
    published: watch::Sender<View>,
}

impl Capability {
    fn new(wake: &Arc<Notify>) -> Self {
        Self {
            state: Mutex::new(State::new(Arc::clone(wake))),
            published: watch::Sender::new(View::NO_MOVE),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Owners {
    /// Registers `picker`, a name that no other process should have (of two the elder goes on under another), and waits until who owns what has been read
    /// once, however long the control database is away. The picker lives until [`Self::leave`] or the end
    /// of the runtime.
    pub async fn start(
        url: &str,
        picker: &str,
        role: Role,
        capabilities: impl IntoIterator<Item = String>,
    ) -> Result<Self, Error> {
        let options: PgConnectOptions = url.parse().map_err(Error::Address)?;
        let owners = Self::new(picker, role, capabilities);
        let (first, mut heard) = watch::channel(false);
        session::spawn(options, Arc::clone(&owners.0), first).map_err(Error::Thread)?;
        // The session ends only after `leave`, which nobody can have called yet.
        let _ = heard.wait_for(|heard| *heard).await;
        Ok(owners)
    }

    /// Owners that stand still until [`Self::set`], without a control database: for tests of those who ask.
    pub fn fixed(views: impl IntoIterator<Item = (String, View)>) -> Self {
        let views: Vec<_> = views.into_iter().collect();
        let names = views.iter().map(|(capability, _)| capability.clone());
        let owners = Self::new("fixed", Role::Client, names);
        for (capability, view) in views {
            owners.set(&capability, view);
        }
        owners
    }

    /// Acts on `view` from now on, as if it had been heard: for [`Self::fixed`].
    pub fn set(&self, capability: &str, view: View) {
        let heard = Heard {
            owner: view.owner,
            epoch: view.epoch,
            pending: view.pending,
            pending_left: std::time::Duration::from_secs(3),
            unfinished: view.unfinished,
            retired: view.retired,
        };
        let now = Instant::now();
        self.0.take(capability, heard, now, now);
    }

    fn new(picker: &str, role: Role, capabilities: impl IntoIterator<Item = String>) -> Self {
        let wake = Arc::new(Notify::new());
        let capabilities =
            capabilities.into_iter().map(|name| (name, Capability::new(&wake))).collect();
        Self(Arc::new(Shared {
            picker: picker.to_owned(),
            role,
            capabilities,
            wake,
            leaving: AtomicBool::new(false),
            left: Notify::new(),
        }))
    }

    /// What this process acts on. A capability that [`Self::start`] was not told of has no move.
    pub fn view(&self, capability: &str) -> View {
        self.0.state(capability).map_or(View::NO_MOVE, |state| state.view(Instant::now()))
    }

    /// Begins something that a fence could cut through: a write that is not buffered, or a side effect.
    /// [`Guard::view`] says who owns the capability and whether the write has to be buffered instead; then
    /// drop the guard as soon as it is buffered.
    pub fn begin(&self, capability: &str) -> Guard {
        match self.0.state(capability) {
            Some(state) => state.begin(Instant::now()),
            None => State::new(Arc::new(Notify::new())).begin(Instant::now()),
        }
    }

    /// Whether a read may be sent to the owner now. `false` is no refusal: wait with [`Self::changed`],
    /// and answer 503 when the caller's patience ends.
    pub fn may_read(&self, capability: &str) -> bool {
        self.0.state(capability).is_none_or(|state| state.may_read(Instant::now()))
    }

    /// Leave to begin one side effect as `side`: only while `side` owns the capability, no switch is
    /// pending, and the control database was heard less than 30 s ago if the move is unfinished.
    pub fn may_work(&self, capability: &str, side: Side) -> Option<Guard> {
        let now = Instant::now();
        let may = |state: &State| state.may_work(now, side).then(|| state.begin(now));
        match self.0.state(capability) {
            Some(state) => may(&state),
            None => may(&State::new(Arc::new(Notify::new()))),
        }
    }

    /// The view and every later one. It is marked as changed with every word from the control database,
    /// also one that brings the same view: at least once a second, every 50 ms while a switch is pending.
    pub fn subscribe(&self, capability: &str) -> watch::Receiver<View> {
        match self.0.capabilities.get(capability) {
            Some(capability) => capability.published.subscribe(),
            None => watch::Sender::new(View::NO_MOVE).subscribe(),
        }
    }

    /// Waits for the next word from the control database; the view may be the same. To miss nothing
    /// between a look and the wait, keep a receiver of [`Self::subscribe`].
    pub async fn changed(&self, capability: &str) {
        if self.subscribe(capability).changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits for a view that `wanted` accepts.
    pub async fn wait_for(&self, capability: &str, wanted: impl FnMut(&View) -> bool) -> View {
        let mut receiver = self.subscribe(capability);
        match receiver.wait_for(wanted).await {
            Ok(view) => *view,
            Err(_) => std::future::pending().await,
        }
    }

    /// Takes the picker out of the control database, so that no switch waits for it. Call it when the
    /// process has answered its last request; returns after 2 s at the latest.
    pub async fn leave(&self) {
        let left = self.0.left.notified();
        self.0.leaving.store(true, Ordering::Release);
        self.0.wake.notify_one();
        let _ = tokio::time::timeout(std::time::Duration::from_secs(2), left).await;
    }
}

impl Shared {
    pub(crate) fn names(&self) -> impl Iterator<Item = &String> {
        self.capabilities.keys()
    }

    pub(crate) fn state(&self, capability: &str) -> Option<MutexGuard<'_, State>> {
        self.capabilities.get(capability).map(Capability::lock)
    }

    /// Acts on a change of owner that a notification has told.
    pub(crate) fn told(&self, name: &str, epoch: i64, owner: Side) {
        let Some(capability) = self.capabilities.get(name) else { return };
        let now = Instant::now();
        // Published under the lock: two tasks hear, and the older view must not come last.
        let mut state = capability.lock();
        if state.told(epoch, owner) {
            capability.published.send_replace(state.view(now));
        }
    }

    /// Acts on what was heard, then tells those who wait.
    pub(crate) fn take(&self, name: &str, heard: Heard, asked_at: Instant, received_at: Instant) {
        let Some(capability) = self.capabilities.get(name) else { return };
        let mut state = capability.lock();
        state.take(heard, asked_at, received_at);
        capability.published.send_replace(state.view(received_at));
    }
}
