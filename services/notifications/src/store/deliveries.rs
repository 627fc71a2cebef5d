//! What became of each mail, and which are due.

use std::time::Duration;

use ficus_pg::Pool;
use sqlx::PgConnection;
use sqlx::postgres::types::PgInterval;

use crate::domain::Kind;
use crate::domain::mail::{Claim, Delivery, State};
use crate::domain::page::Page;

/// A person's mails, newest first; one more than the page holds, if there is one.
pub async fn list(pool: &Pool, user_id: i64, page: Page) -> sqlx::Result<Vec<Delivery>> {
    let rows = sqlx::query!(
        r#"
        SELECT mails.id, mails.template, mails.created_at,
               state::text AS "state!", attempts, last_error, sent_at
        FROM mails
        JOIN deliveries ON deliveries.mail_id = mails.id
        WHERE mails.user_id = $1
          AND mails.id < $2
        ORDER BY mails.id DESC
        LIMIT $3
        "#,
        user_id,
        page.before,
        page.size + 1,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Delivery {
            id: row.id,
            kind: Kind::named(&row.template),
            state: State::named(&row.state).expect("delivery_state has the labels of State"),
            attempts: row.attempts,
            last_error: row.last_error,
            created_at: row.created_at,
            sent_at: row.sent_at,
        })
        .collect())
}

/// Claims up to `limit` mails that are due and not among those that the caller has `in_flight`. What was claimed
/// and neither recorded nor renewed within 4 s, because the process died, is due again. To be committed before
/// anything is sent.
pub async fn claim(
    conn: &mut PgConnection,
    limit: i64,
    in_flight: &[i64],
) -> sqlx::Result<Vec<Claim>> {
    sqlx::query_as!(
        Claim,
        r#"
        WITH due AS (
            SELECT mail_id
            FROM deliveries
            WHERE state IN ('queued', 'sending')
              AND next_attempt_at <= now()
              AND mail_id <> ALL ($2)
            ORDER BY next_attempt_at
            LIMIT $1
            FOR UPDATE SKIP LOCKED
        ), claimed AS (
            UPDATE deliveries
            SET state = 'sending',
                attempts = attempts + 1,
                version = version + 1,
                next_attempt_at = now() + interval '4 seconds'
            FROM due
            WHERE deliveries.mail_id = due.mail_id
            RETURNING deliveries.mail_id, deliveries.attempts
        )
        SELECT claimed.mail_id, claimed.attempts, mails.user_id, mails.task_id,
               templates.subject, templates.body, mails.traceparent
        FROM claimed
        JOIN mails ON mails.id = claimed.mail_id
        JOIN templates ON templates.name = mails.template
        "#,
        limit,
        in_flight,
    )
    .fetch_all(conn)
    .await
}

/// Keeps the claimed mail from being due again for another 4 s; nothing if the claim has passed to another.
pub async fn renew(pool: &Pool, claim: &Claim) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        UPDATE deliveries
        SET next_attempt_at = now() + interval '4 seconds'
        WHERE mail_id = $1 AND state = 'sending' AND attempts = $2
        "#,
        claim.mail_id,
        claim.attempts,
    )
    .execute(pool)
    .await?;
    Ok(())
}

/// Records that the claimed mail was taken by the mail server and answers the delivery's version;
/// `None` if the claim has passed to another.
pub async fn sent(conn: &mut PgConnection, claim: &Claim) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        r#"
        UPDATE deliveries
        SET state = 'sent', sent_at = now(), last_error = NULL, version = version + 1
        WHERE mail_id = $1 AND state = 'sending' AND attempts = $2
        RETURNING version
        "#,
        claim.mail_id,
        claim.attempts,
    )
    .fetch_optional(conn)
    .await
}

/// Puts the claimed mail back, due after `wait`.
pub async fn retry(
    conn: &mut PgConnection,
    claim: &Claim,
    wait: Duration,
    error: &str,
) -> sqlx::Result<()> {
    let wait = PgInterval::try_from(wait).expect("a wait is whole seconds");
    sqlx::query!(
        r#"
        UPDATE deliveries
        SET state = 'queued', next_attempt_at = now() + $3, last_error = $4, version = version + 1
        WHERE mail_id = $1 AND state = 'sending' AND attempts = $2
        "#,
        claim.mail_id,
        claim.attempts,
        wait,
        error,
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives the claimed mail up and answers the delivery's version; `None` if the claim has passed to
/// another.
pub async fn failed(
    conn: &mut PgConnection,
    claim: &Claim,
    error: &str,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        r#"
        UPDATE deliveries
        SET state = 'failed', last_error = $3, version = version + 1
        WHERE mail_id = $1 AND state = 'sending' AND attempts = $2
        RETURNING version
        "#,
        claim.mail_id,
        claim.attempts,
        error,
    )
    .fetch_optional(conn)
    .await
}
