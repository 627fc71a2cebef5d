//! Carries one claimed mail to the mail server and records what became of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ficus_owners::Guard;
use ficus_process::{failpoint, trace};
use tracing::Instrument as _;

use super::domain::{Claim, Letter, backoff};
use super::{Outgoing, Smtp, Store, store};
use crate::modules::auth::Directory;

/// A fourth of what a claim lasts: of a process that has died the mails are due again after 4 s at the latest.
const RENEWAL: Duration = Duration::from_secs(1);

/// Sends mails that were claimed by a committed write.
#[derive(Clone)]
pub struct Courier {
    pub directory: Arc<dyn Directory>,
    pub smtp: Smtp,
    pub store: Store,
    pub outgoing: Outgoing,
}

impl Courier {
    /// Sends the mail and records it. It is repeated, under the same Message-ID, only where the record is
    /// missing: after a crash in between, a mail server that took it and did not answer in time, or a
    /// record that failed. The guard makes a planned switch wait for both.
    pub async fn deliver(&self, claim: &Claim, _until_recorded: &Guard) {
        let span =
            tracing::info_span!("deliver", otel.name = "deliver a mail", mail = claim.mail_id);
        trace::continues(&span, claim.traceparent.as_deref());
        self.attempt(claim).instrument(span).await;
    }

    async fn attempt(&self, claim: &Claim) {
        failpoint::reach("mailer.claimed").await;
        let sent = tokio::select! {
            sent = self.send(claim) => sent,
            never = self.keep(claim) => match never {},
        };
        failpoint::reach("mailer.sent").await;
        let recorded = match sent {
            Ok(()) => self.store.sent(claim, &self.outgoing).await,
            Err(reason) => self.give_back(claim, &reason).await,
        };
        if let Err(error) = recorded {
            tracing::warn!(%error, mail = claim.mail_id, "failed to record a mail; it will be sent again");
        }
    }

    /// Renews the claim for as long as the mail server takes.
    async fn keep(&self, claim: &Claim) -> Infallible {
        loop {
            tokio::time::sleep(RENEWAL).await;
            if let Err(error) = self.store.renew(claim).await {
                tracing::warn!(%error, mail = claim.mail_id, "failed to renew the claim of a mail");
            }
        }
    }

    /// Queues the mail anew, or gives it up after the last attempt.
    async fn give_back(&self, claim: &Claim, reason: &str) -> store::Result<()> {
        tracing::info!(mail = claim.mail_id, attempts = claim.attempts, "mail not sent: {reason}");
        match backoff(claim.attempts) {
            Some(wait) => self.store.retry(claim, wait, reason).await,
            None => self.store.failed(claim, reason, &self.outgoing).await,
        }
    }

    /// # Errors
    /// Why it was not sent, in words for the delivery log.
    async fn send(&self, claim: &Claim) -> Result<(), String> {
        let persons = self.directory.look_up(&[claim.user_id]).await;
        let person =
            persons.map_err(|error| format!("the directory is away: {}", error.code))?.pop();
        let person = person.ok_or("the person is gone")?;
        self.smtp.send(Letter::write(claim, person)).await
    }
}
