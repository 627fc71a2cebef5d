//! Guards: how `quiet` is known. Everything that begins takes a guard of the present generation; a new
//! *pending* opens the next generation, and quiet is when no guard of an earlier one is left.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
};

use tokio::sync::Notify;

use crate::View;

/// Held while something unbuffered or a side effect is under way; dropping it ends that.
#[derive(Debug)]
#[must_use = "what it stands for counts as ended when it is dropped"]
pub struct Guard {
    view: View,
    generation: Arc<Generation>,
}

impl Guard {
    /// What was acted on when the guard was taken. With [`View::pending`] set, a write has to be buffered
    /// whole before it is sent.
    pub const fn view(&self) -> View {
        self.view
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if self.generation.held.fetch_sub(1, SeqCst) == 1 && self.generation.closed.load(SeqCst) {
            self.generation.drained.notify_one();
        }
    }
}

/// The guards taken between two changes of *pending*.
#[derive(Debug)]
pub(crate) struct Generation {
    held: AtomicUsize,
    closed: AtomicBool,
    drained: Arc<Notify>,
}

impl Generation {
    pub(crate) fn new(drained: Arc<Notify>) -> Arc<Self> {
        Arc::new(Self { held: AtomicUsize::new(0), closed: AtomicBool::new(false), drained })
    }

    /// Called under the lock of the state, so no guard is taken of a generation that has been closed.
    pub(crate) fn guard(self: &Arc<Self>, view: View) -> Guard {
        self.held.fetch_add(1, SeqCst);
        Guard { view, generation: Arc::clone(self) }
    }

    /// From here on its last guard wakes the acknowledgement. A guard that went before is seen by
    /// [`Self::is_over`], which is asked after this.
    pub(crate) fn close(&self) {
        self.closed.store(true, SeqCst);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.held.load(SeqCst) == 0
    }
}
