//! Sends the mails that are due, while the monolith owns notifications: those that are queued, and those
//! that a request or an earlier process has claimed and not recorded.

use std::sync::Arc;
use std::time::Duration;

use ficus_owners::{Owners, Side};
use ficus_process::{Shutdown, fault};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::{Courier, NAME, Store};

/// Mails on their way at a time.
pub const IN_FLIGHT: u32 = 16;

/// How long to wait when nothing is due.
const IDLE: Duration = Duration::from_millis(200);

/// Claims mails by a committed write and hands them to the courier.
pub struct Mailer {
    pub store: Store,
    pub owners: Owners,
    pub courier: Courier,
}

impl Mailer {
    /// Runs until shutdown is requested and what is in flight has ended.
    pub async fn run(self, shutdown: Shutdown) {
        let places = Arc::new(Semaphore::new(IN_FLIGHT as usize));
        let mut sending = JoinSet::new();
        while !shutdown.is_requested() {
            while sending.try_join_next().is_some() {}
            let begun = self.begin(&places, &mut sending).await;
            if begun == 0 {
                tokio::select! {
                    () = tokio::time::sleep(IDLE) => {}
                    () = shutdown.requested() => {}
                }
            }
        }
        while sending.join_next().await.is_some() {}
    }

    /// Claims as many mails as there are free places, one at least, and sends each in a task of its own.
    async fn begin(&self, places: &Arc<Semaphore>, sending: &mut JoinSet<()>) -> usize {
        let first = Arc::clone(places).acquire_owned().await.expect("it is never closed");
        // No wait between the guard and the claim: a switch waits for whoever holds a guard.
        let Some(guard) = self.owners.may_work(NAME, Side::Monolith) else { return 0 };
        // One that no switch waits for, where a test wants that.
        let off = fault::planted("quiesce-off");
        let guard = Arc::new(if off { Owners::fixed([]).begin(NAME) } else { guard });
        let limit = i64::try_from(places.available_permits() + 1).unwrap_or(1);
        let claims =
            self.store.claim(limit, &self.courier.in_flight).await.unwrap_or_else(|error| {
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
