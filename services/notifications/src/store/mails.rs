//! What is to be sent.

use sqlx::PgConnection;

use crate::domain::notice::Notice;

/// Queues the mail of a notice; one of the same cause is queued once.
pub async fn queue(conn: &mut PgConnection, notice: &Notice) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        WITH mail AS (
            INSERT INTO mails (user_id, template, cause, task_id, traceparent)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT DO NOTHING
            RETURNING id
        )
        INSERT INTO deliveries (mail_id)
        SELECT id FROM mail
        "#,
        notice.user_id,
        notice.kind.name(),
        notice.cause,
        notice.task_id,
        ficus_process::trace::current_traceparent(),
    )
    .execute(conn)
    .await?;
    Ok(())
}
