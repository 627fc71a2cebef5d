//! The mails: queue and log in one table.

use std::time::Duration;

use chrono::NaiveDateTime;
use ficus_process::InFlight;
use sqlx::postgres::types::PgInterval;

use super::Store;
use crate::http::Page;
use crate::modules::notifications::Outgoing;
use crate::modules::notifications::domain::Claim;
use crate::modules::notifications::outgoing::Mail;

/// One line of the delivery log.
#[derive(Clone, Debug)]
pub struct DeliveryRow {
    pub id: i64,
    pub template: String,
    pub state: String,
    pub attempts: i32,
    pub last_error: String,
    pub created_at: NaiveDateTime,
    pub sent_at: Option<NaiveDateTime>,
}

impl Store {
    /// The person's mails, newest first.
    pub async fn deliveries(&self, user_id: i64, page: Page) -> sqlx::Result<Vec<DeliveryRow>> {
        sqlx::query_as!(
            DeliveryRow,
            "
            SELECT id, template, state, attempts, last_error, created_at, sent_at
            FROM emails
            WHERE user_id = $1 AND id < $2
            ORDER BY id DESC
            LIMIT $3
            ",
            user_id,
            page.before(),
            page.rows()
        )
        .fetch_all(&self.pool)
        .await
    }

    /// Claims up to `limit` mails that are due and not `in_flight` here. What was claimed and neither recorded nor
    /// renewed within 4 s, because the process died, is due again.
    pub async fn claim(&self, limit: i64, in_flight: &InFlight) -> sqlx::Result<Vec<Claim>> {
        // A request enters its mails before it commits them: those looked up now are all that can be seen.
        let mut conn = self.pool.acquire().await?;
        sqlx::query_as!(
            Claim,
            "
            WITH due AS (
                SELECT id
                FROM emails
                WHERE state IN ('queued', 'sending')
                  AND next_attempt_at <= now() AT TIME ZONE 'UTC'
                  AND id <> ALL ($2)
                ORDER BY next_attempt_at
                LIMIT $1
                FOR UPDATE SKIP LOCKED
            ), claimed AS (
                UPDATE emails
                SET state = 'sending', attempts = attempts + 1, version = version + 1,
                    next_attempt_at = now() AT TIME ZONE 'UTC' + interval '4 seconds'
                FROM due
                WHERE emails.id = due.id
                RETURNING emails.id, user_id, template, task_id, traceparent, attempts
            )
            SELECT claimed.id AS mail_id, user_id, task_id, subject, body, traceparent, attempts
            FROM claimed
            JOIN email_templates ON email_templates.name = claimed.template
            ",
            limit,
            &in_flight.ids()
        )
        .fetch_all(&mut *conn)
        .await
    }

    /// Keeps the claimed mail from being due again for another 4 s; nothing if the claim has passed to another.
    pub async fn renew(&self, claim: &Claim) -> sqlx::Result<()> {
        sqlx::query!(
            "
            UPDATE emails
            SET next_attempt_at = now() AT TIME ZONE 'UTC' + interval '4 seconds'
            WHERE id = $1 AND state = 'sending' AND attempts = $2
            ",
            claim.mail_id,
            claim.attempts
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Records that the mail server took the claimed mail; nothing if the claim has passed to another.
    pub async fn sent(&self, claim: &Claim, outgoing: &Outgoing) -> sqlx::Result<()> {
        let mut tx = self.begin("record a sent mail").await?;
        let version = sqlx::query_scalar!(
            "
            UPDATE emails
            SET state = 'sent', sent_at = now() AT TIME ZONE 'UTC', last_error = '',
                version = version + 1
            WHERE id = $1 AND state = 'sending' AND attempts = $2
            RETURNING version
            ",
            claim.mail_id,
            claim.attempts
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(version) = version {
            outgoing.delivered(&mut tx, mail(claim, version)).await?;
        }
        tx.commit().await
    }

    /// Queues the claimed mail anew, due after `wait`.
    pub async fn retry(&self, claim: &Claim, wait: Duration, reason: &str) -> sqlx::Result<()> {
        let wait = PgInterval::try_from(wait).expect("a wait is whole seconds");
        sqlx::query!(
            "
            UPDATE emails
            SET state = 'queued', next_attempt_at = now() AT TIME ZONE 'UTC' + $3::interval,
                last_error = $4, version = version + 1
            WHERE id = $1 AND state = 'sending' AND attempts = $2
            ",
            claim.mail_id,
            claim.attempts,
            wait,
            reason
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Gives the claimed mail up.
    pub async fn failed(
        &self,
        claim: &Claim,
        reason: &str,
        outgoing: &Outgoing,
    ) -> sqlx::Result<()> {
        let mut tx = self.begin("give a mail up").await?;
        let version = sqlx::query_scalar!(
            "
            UPDATE emails
            SET state = 'failed', last_error = $3, version = version + 1
            WHERE id = $1 AND state = 'sending' AND attempts = $2
            RETURNING version
            ",
            claim.mail_id,
            claim.attempts,
            reason
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(version) = version {
            outgoing.bounced(&mut tx, mail(claim, version)).await?;
        }
        tx.commit().await
    }
}

fn mail(claim: &Claim, version: i64) -> Mail {
    Mail { id: claim.mail_id, user_id: claim.user_id, version }
}
