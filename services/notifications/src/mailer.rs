//! Sends the mails that are due, while this service owns notifications.
//!
//! A mail is claimed by a committed write before the mail server is called, and recorded after it, so
//! it is repeated, under the same Message-ID, only where the record is missing: after a crash or an end in between,
//! a mail server that took it and did not answer within ten minutes, or, where several processes send, if another one
//! claims it first when a database that was away is back. The guard that is held from claim to record makes a planned
//! switch wait for both; one that has no time for that is refused.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ficus_owners::{Guard, Owners, Side};
use ficus_pg::within;
use ficus_process::{InFlight, Shutdown, failpoint, fault, trace};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::domain::mail::{self, Claim, Letter};
use crate::events::outgoing;
use crate::peers::{Directory, Failed, Smtp};
use crate::store::{self, deliveries};

/// Mails on their way at a time.
pub const IN_FLIGHT: u32 = 16;

/// How long to wait when nothing is due.
const IDLE: Duration = Duration::from_millis(200);

/// A fourth of what a claim lasts: of a process that has died the mails are due again after 4 s at the latest. A renewal
/// has as long for its answer.
const RENEWAL: Duration = Duration::from_secs(1);

/// For a claim or a record. The server ends a statement after 10 s, if it is there.
const SILENCE: Duration = Duration::from_secs(12);

/// Between two tries to record.
const BETWEEN_RECORDS: Duration = Duration::from_millis(100);

/// What is in flight when the end is requested may take this long. The owners are left after that, within 2 s, and
/// after 10 s the process ends in any case.
const ENDING: Duration = Duration::from_secs(6);

/// For claims, renewals and records.
const CONNECTIONS: u32 = 4;

/// Sends mails.
#[derive(Clone)]
pub struct Mailer {
    pool: store::Pool,
    owners: Owners,
    directory: Directory,
    smtp: Smtp,
    in_flight: InFlight,
}

impl Mailer {
    /// It has connections of its own, as `pool` makes them: a claim that cannot be renewed, because requests wait for
    /// `pool`, is a mail that is sent twice.
    pub fn new(pool: &store::Pool, owners: Owners, directory: Directory, smtp: Smtp) -> Self {
        let pool = pool.apart("notifications mails", CONNECTIONS);
        Self { pool, owners, directory, smtp, in_flight: InFlight::default() }
    }

    /// Runs until shutdown is requested and what is in flight has ended, or 6 s have passed: what is left then is sent
    /// again by whoever claims it next.
    pub async fn run(self, shutdown: Shutdown) {
        let places = Arc::new(Semaphore::new(IN_FLIGHT as usize));
        let mut sending = JoinSet::new();
        while let Some(first) = place(&places, &shutdown).await {
            while sending.try_join_next().is_some() {}
            let begun = self.begin(first, &places, &mut sending).await.unwrap_or_else(|error| {
                log(&error, "failed to claim mails");
                0
            });
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
    ) -> store::Result<usize> {
        let Some(guard) = self.owners.may_work("notifications", Side::Service) else {
            return Ok(0);
        };
        // One that no switch waits for, where a test wants that.
        let off = fault::planted("quiesce-off");
        let guard = Arc::new(if off { Owners::fixed([]).begin("notifications") } else { guard });
        let limit = i64::try_from(places.available_permits() + 1).unwrap_or(1);
        let claims = within(SILENCE, self.claim(limit)).await?;
        let begun = claims.len();
        let mut place = Some(first);
        for claim in claims {
            let place = place.take().or_else(|| Arc::clone(places).try_acquire_owned().ok());
            let entry = self.in_flight.enter(claim.mail_id);
            let (mailer, guard) = (self.clone(), Arc::clone(&guard));
            sending.spawn(async move {
                mailer.deliver(&claim, &guard).await;
                drop((entry, place));
            });
        }
        Ok(begun)
    }

    async fn claim(&self, limit: i64) -> store::Result<Vec<Claim>> {
        let mut tx = ficus_pg::begin(&self.pool, "claim mails").await?;
        let claims = deliveries::claim(&mut tx, limit, &self.in_flight.ids()).await?;
        tx.commit().await?;
        Ok(claims)
    }

    async fn deliver(&self, claim: &Claim, _until_recorded: &Guard) {
        let span =
            tracing::info_span!("deliver", otel.name = "deliver a mail", mail = claim.mail_id);
        trace::continues(&span, claim.traceparent.as_deref());
        self.attempt(claim).instrument(span).await;
    }

    async fn attempt(&self, claim: &Claim) {
        failpoint::reach("mailer.claimed").await;
        let sent_and_recorded = async {
            let outcome = self.send(claim).await;
            failpoint::reach("mailer.sent").await;
            self.record(claim, &outcome).await;
        };
        tokio::select! {
            () = sent_and_recorded => {}
            never = self.keep(claim) => match never {},
        }
    }

    /// Renews the claim for as long as the directory, the mail server and the record take.
    async fn keep(&self, claim: &Claim) -> Infallible {
        loop {
            tokio::time::sleep(RENEWAL).await;
            if let Err(error) = within(RENEWAL, deliveries::renew(&self.pool, claim)).await {
                log(&error, "failed to renew the claim of a mail");
            }
        }
    }

    async fn send(&self, claim: &Claim) -> Result<(), Failed> {
        let person = self.directory.look_up(claim.user_id).await?;
        self.smtp.send(Letter::write(claim, person)).await
    }

    /// Records what became of the mail, however long the database is away: while it answers, the claim is renewed and
    /// nobody else sends the mail; while it does not, nobody can claim it.
    async fn record(&self, claim: &Claim, outcome: &Result<(), Failed>) {
        let mut has_failed = false;
        while let Err(error) = within(SILENCE, self.try_record(claim, outcome)).await {
            if ficus_pg::fenced(&error).is_some() {
                return log(&error, "failed to record a mail; it will be sent again");
            }
            if !has_failed {
                tracing::warn!(%error, mail = claim.mail_id, "failed to record a mail; that is tried again");
            }
            has_failed = true;
            tokio::time::sleep(BETWEEN_RECORDS).await;
        }
    }

    async fn try_record(&self, claim: &Claim, outcome: &Result<(), Failed>) -> store::Result<()> {
        let mut tx = ficus_pg::begin(&self.pool, "record a mail").await?;
        match outcome {
            Ok(()) => {
                if let Some(version) = deliveries::sent(&mut tx, claim).await? {
                    outgoing::delivered(&mut tx, claim, version).await?;
                }
            }
            Err(error) => {
                let (wait, text) =
                    (mail::backoff(claim.attempts, error.obstacle), error.to_string());
                if let Some(wait) = wait {
                    deliveries::retry(&mut tx, claim, wait, &text).await?;
                } else if let Some(version) = deliveries::failed(&mut tx, claim, &text).await? {
                    outgoing::bounced(&mut tx, claim, version).await?;
                }
            }
        }
        tx.commit().await
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

fn log(error: &store::Error, what: &str) {
    if let Some(fenced) = ficus_pg::fenced(error) {
        tracing::info!(epoch = fenced.epoch, "{what}: the fence is shut");
    } else {
        tracing::warn!(%error, "{what}");
    }
}
