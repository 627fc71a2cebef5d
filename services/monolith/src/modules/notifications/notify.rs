//! How other modules tell this one what happened.

use std::sync::Arc;

use async_trait::async_trait;
use ficus_owners::{Guard, Owners, Side};
use ficus_process::Entry;

use super::domain::{Claim, MailMode, News};
use super::{Courier, ModeReader, NAME, Outgoing, store};
use crate::http::Ended;
use crate::modules::idempotency::Write;

/// Told in the transaction of what happened.
#[async_trait]
pub trait Notify: Send + Sync {
    /// Everybody concerned is told once `write` commits. Send the mails after that.
    async fn tell(&self, write: &mut Write, news: &News) -> Result<Mails, Ended>;
}

/// The mails that a request has to send itself, once its transaction has committed.
#[must_use = "a mail that is not sent waits until its claim runs out"]
pub struct Mails(Option<Claimed>);

struct Claimed {
    courier: Courier,
    claims: Vec<(Claim, Entry)>,
    /// Makes a planned switch wait until the mails are recorded.
    guard: Arc<Guard>,
}

impl Mails {
    /// There is nothing to send.
    pub fn none() -> Self {
        Self(None)
    }

    /// Sends them all and records what became of each. A failure is nobody's but the mail's: the
    /// mailer tries again later. What has begun is ended also when the caller goes away.
    pub async fn send(self) {
        let Some(Claimed { courier, claims, guard }) = self.0 else { return };
        ficus_pg::progress::note_outside_call();
        let sending: Vec<_> = claims
            .into_iter()
            .map(|(claim, entry)| {
                let (courier, guard) = (courier.clone(), Arc::clone(&guard));
                tokio::spawn(async move {
                    courier.deliver(&claim, &guard).await;
                    drop(entry);
                })
            })
            .collect();
        for sent in sending {
            if let Err(error) = sent.await {
                tracing::error!(%error, "failed to send a mail");
            }
        }
    }
}

/// Tells this process's own tables or, once mail is queued, the outbox.
pub struct Local {
    pub mode: ModeReader,
    pub owners: Owners,
    pub courier: Courier,
    pub outgoing: Outgoing,
}

#[async_trait]
impl Notify for Local {
    async fn tell(&self, write: &mut Write, news: &News) -> Result<Mails, Ended> {
        match self.mode.read(write).await? {
            MailMode::Queued => {
                self.outgoing.news(write, news).await?;
                Ok(Mails::none())
            }
            MailMode::Inline => self.apply(write, news).await,
        }
    }
}

impl Local {
    /// Writes the effects in the same transaction. While a switch is pending the mail is left to the
    /// mailer.
    async fn apply(&self, write: &mut Write, news: &News) -> Result<Mails, Ended> {
        let Some(notice) = news.notice() else { return Ok(Mails::none()) };
        let guard = self.owners.may_work(NAME, Side::Monolith);
        let claims = store::tell(write, &notice, guard.is_some()).await?;
        let Some(guard) = guard.filter(|_| !claims.is_empty()) else { return Ok(Mails::none()) };
        let (courier, guard) = (self.courier.clone(), Arc::new(guard));
        let enter = |claim: Claim| {
            let entry = courier.in_flight.enter(claim.mail_id);
            (claim, entry)
        };
        let claims = claims.into_iter().map(enter).collect();
        Ok(Mails(Some(Claimed { courier, claims, guard })))
    }
}
