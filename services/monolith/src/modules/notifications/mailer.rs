//! Sends the mails that are due, while the monolith owns notifications: those that are queued, and those
//! that a request or an earlier process has claimed and not recorded.

use std::sync::Arc;
use std::time::Duration;

use ficus_owners::{Owners, Side};
use ficus_pg::within;
use ficus_process::{Shutdown, fault};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use super::{Courier, NAME, Store, courier::SILENCE};

/// Mails on their way at a time.
pub const IN_FLIGHT: u32 = 16;

/// How long to wait when nothing is due.
const IDLE: Duration = Duration::from_millis(200);

/// What is in flight when the end is requested may take this long. The owners are left after that, within 2 s, and
/// after 10 s the process ends in any case.
const ENDING: Duration = Duration::from_secs(6);

/// Claims mails by a committed write and hands them to the courier.
pub struct Mailer {
    pub store: Store,
    pub owners: Owners,
    pub courier: Courier,
}

impl Mailer {
    /// Runs until shutdown is requested and what is in flight has ended, or 6 s have passed: what is left then is sent
    /// again by whoever claims it next.
    pub async fn run(self, shutdown: Shutdown) {
        let places = Arc::new(Semaphore::new(IN_FLIGHT as usize));
        let mut sending = JoinSet::new();
        while let Some(first) = place(&places, &shutdown).await {
            while sending.try_join_next().is_some() {}
            let begun = self.begin(first, &places, &mut sending).await;
            if begun == 0 {
                tokio::select! {
                    () = tokio::time::sleep(IDLE) => {}
                    () = shutdown.requested() => {}
                }
            }
        }
        let ended = async { while sending.join_next().await.is_some() {} };
        if tokio::time::timeout(ENDING, ended).await.is_err() {
            tracing::warn!(
                mails = sending.len(),
                "mails were on their way; they will be sent again"
            );
        }
    }

    /// Claims as many mails as there are free places, the first among them, and sends each in a task of its own.
    async fn begin(
        &self,
        first: OwnedSemaphorePermit,
        places: &Arc<Semaphore>,
        sending: &mut JoinSet<()>,
    ) -> usize {
        // No wait between the guard and the claim: a switch waits for whoever holds a guard.
        let Some(guard) = self.owners.may_work(NAME, Side::Monolith) else { return 0 };
        // One that no switch waits for, where a test wants that.
        let off = fault::planted("quiesce-off");
        let guard = Arc::new(if off { Owners::fixed([]).begin(NAME) } else { guard });
        let limit = i64::try_from(places.available_permits() + 1).unwrap_or(1);
        let claims = self.store.claim(limit, &self.courier.in_flight);
        let claims = within(SILENCE, claims).await.unwrap_or_else(|error| {
            if let Some(fenced) = ficus_pg::fenced(&error) {
                tracing::info!(epoch = fenced.epoch, "the fence is shut");
            } else {
                tracing::warn!(%error, "failed to claim mails");
            }
            Vec::new()
        });
        let begun = claims.len();
        let mut place = Some(first);
        for claim in claims {
            let place = place.take().or_else(|| Arc::clone(places).try_acquire_owned().ok());
            let entry = self.courier.in_flight.enter(claim.mail_id);
            let (courier, guard) = (self.courier.clone(), Arc::clone(&guard));
            sending.spawn(async move {
                courier.deliver(&claim, &guard).await;
                drop((entry, place));
            });
        }
        begun
    }
}

/// A free place, as soon as there is one; none once the end is requested.
async fn place(places: &Arc<Semaphore>, shutdown: &Shutdown) -> Option<OwnedSemaphorePermit> {
    tokio::select! {
        biased;
        () = shutdown.requested() => None,
        place = Arc::clone(places).acquire_owned() => Some(place.expect("it is never closed")),
    }
}
