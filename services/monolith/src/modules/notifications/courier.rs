//! Carries one claimed mail to the mail server and records what became of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ficus_owners::Guard;
use ficus_pg::within;
use ficus_process::{InFlight, failpoint, trace};
use tokio::time::timeout;
use tracing::Instrument as _;

use super::domain::{Claim, Letter, Obstacle, backoff};
use super::smtp::Unsent;
use super::{Outgoing, Smtp, Store, store};
use crate::modules::auth::Directory;

/// A fourth of what a claim lasts: of a process that has died the mails are due again after 4 s at the latest. A renewal
/// has as long for its answer.
const RENEWAL: Duration = Duration::from_secs(1);

/// For a claim or a record. The server ends a statement after 10 s, if it is there.
pub const SILENCE: Duration = Duration::from_secs(12);

/// For whom a mail goes to. Its claim is renewed meanwhile, and a switch waits for it.
const LOOK_UP: Duration = Duration::from_secs(2);

/// Between two tries to record.
const BETWEEN_RECORDS: Duration = Duration::from_millis(100);

/// Sends mails that were claimed by a committed write.
#[derive(Clone)]
pub struct Courier {
    pub directory: Arc<dyn Directory>,
    pub smtp: Smtp,
    pub store: Store,
    pub outgoing: Outgoing,
    /// What requests and the mailer send at the moment.
    pub in_flight: InFlight,
}

impl Courier {
    /// Sends the mail and records it. It is repeated, under the same Message-ID, only where the record is
    /// missing: after a crash or an end in between, a mail server that took it and did not answer in time, or,
    /// where several processes send, if another one claims it first when a database that was away is back. The guard
    /// makes a planned switch wait for both; one that has no time for that is refused.
    pub async fn deliver(&self, claim: &Claim, _until_recorded: &Guard) {
        let span =
            tracing::info_span!("deliver", otel.name = "deliver a mail", mail = claim.mail_id);
        trace::continues(&span, claim.traceparent.as_deref());
        self.attempt(claim).instrument(span).await;
    }

    async fn attempt(&self, claim: &Claim) {
        failpoint::reach("mailer.claimed").await;
        let sent_and_recorded = async {
            let sent = self.send(claim).await;
            failpoint::reach("mailer.sent").await;
            if let Err(unsent) = &sent {
                let Claim { mail_id, attempts, .. } = claim;
                tracing::info!(mail = mail_id, attempts, "mail not sent: {}", unsent.reason);
            }
            self.record(claim, &sent).await;
        };
        tokio::select! {
            () = sent_and_recorded => {}
            never = self.keep(claim) => match never {},
        }
    }

    /// Records what became of the mail, however long the database is away: while it answers, the claim is renewed and
    /// nobody else sends the mail; while it does not, nobody can claim it.
    async fn record(&self, claim: &Claim, sent: &Result<(), Unsent>) {
        let mail = claim.mail_id;
        let mut has_failed = false;
        while let Err(error) = within(SILENCE, self.try_record(claim, sent)).await {
            if ficus_pg::fenced(&error).is_some() {
                tracing::warn!(%error, mail, "failed to record a mail; it will be sent again");
                return;
            }
            if !has_failed {
                tracing::warn!(%error, mail, "failed to record a mail; that is tried again");
            }
            has_failed = true;
            tokio::time::sleep(BETWEEN_RECORDS).await;
        }
    }

    async fn try_record(&self, claim: &Claim, sent: &Result<(), Unsent>) -> store::Result<()> {
        match sent {
            Ok(()) => self.store.sent(claim, &self.outgoing).await,
            Err(unsent) => self.give_back(claim, unsent).await,
        }
    }

    /// Renews the claim for as long as the mail server and the record take.
    async fn keep(&self, claim: &Claim) -> Infallible {
        loop {
            tokio::time::sleep(RENEWAL).await;
            if let Err(error) = within(RENEWAL, self.store.renew(claim)).await {
                tracing::warn!(%error, mail = claim.mail_id, "failed to renew the claim of a mail");
            }
        }
    }

    /// Queues the mail anew, or gives it up if it was refused.
    async fn give_back(&self, claim: &Claim, unsent: &Unsent) -> store::Result<()> {
        match backoff(claim.attempts, unsent.obstacle) {
            Some(wait) => self.store.retry(claim, wait, &unsent.reason).await,
            None => self.store.failed(claim, &unsent.reason, &self.outgoing).await,
        }
    }

    async fn send(&self, claim: &Claim) -> Result<(), Unsent> {
        let away = |why: &str| Unsent {
            reason: format!("the directory is away: {why}"),
            obstacle: Obstacle::Away,
        };
        let asked = timeout(LOOK_UP, self.directory.look_up(&[claim.user_id])).await;
        let persons = asked.map_err(|_| away("it did not answer"))?;
        let persons = persons.map_err(|error| away(&error.code))?;
        let person = persons.into_iter().next_back().ok_or_else(|| Unsent {
            reason: "the person is gone".to_owned(),
            obstacle: Obstacle::Refused,
        })?;
        self.smtp.send(Letter::write(claim, person)).await
    }
}
