//! Where the requests of one capability wait while its owners refuse writes.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::sync::{Semaphore, watch};

/// How many of the waiting try again without having been told to, and how often. The others wait for the
/// first of them to succeed, so that a thousand held requests are not a thousand transactions refused
/// every few milliseconds.
const PROBES: usize = 4;
const PROBE_AFTER: Duration = Duration::from_millis(10);

/// One capability's gate.
#[derive(Debug)]
pub(crate) struct Gate {
    probes: Semaphore,
    opened: watch::Sender<u64>,
    shut: AtomicBool,
}

impl Gate {
    pub(crate) fn new() -> Self {
        Self {
            probes: Semaphore::new(PROBES),
            opened: watch::Sender::new(0),
            shut: AtomicBool::new(false),
        }
    }

    /// A request that had waited was answered: so will the others be.
    pub(crate) fn open(&self) {
        self.shut.store(false, Ordering::Relaxed);
        self.opened.send_modify(|times| *times += 1);
    }

    /// A request was refused, or what refused it is over.
    pub(crate) fn set_shut(&self, shut: bool) {
        self.shut.store(shut, Ordering::Relaxed);
    }

    /// A request was refused, and none that waited has been answered since.
    pub(crate) fn is_shut(&self) -> bool {
        self.shut.load(Ordering::Relaxed)
    }

    /// Sees every opening from now on.
    pub(crate) fn openings(&self) -> watch::Receiver<u64> {
        self.opened.subscribe()
    }

    /// Resolves when it is the caller's turn to try again unasked.
    pub(crate) async fn turn(&self) {
        let _probe = self.probes.acquire().await;
        tokio::time::sleep(PROBE_AFTER).await;
    }
}
