//! The effects of what happened.

use sqlx::PgConnection;

use crate::modules::notifications::domain::{Claim, Kind, Notice};

/// Tells each person as they have chosen; the welcome always. In-app and mail are one statement. Mails
/// of the same cause are written once. With `claimed` the mails are this caller's to send within 4 s from now,
/// however long the transaction has waited before, and given back; else they are queued and none is given.
pub async fn tell(
    conn: &mut PgConnection,
    notice: &Notice,
    claimed: bool,
) -> sqlx::Result<Vec<Claim>> {
    let claims = sqlx::query_as!(
        Claim,
        r#"
        WITH told AS (
            SELECT person.user_id,
                   $8 OR coalesce((p.settings -> $2 ->> 'in_app')::boolean, true) AS in_app,
                   $8 OR coalesce((p.settings -> $2 ->> 'email')::boolean, true) AS email
            FROM unnest($1::bigint[]) AS person (user_id)
            LEFT JOIN notification_preferences p ON p.user_id = person.user_id
        ), item AS (
            INSERT INTO notifications (user_id, kind, workspace_id, actor_id, task_id, comment_id)
            SELECT user_id, $2, $3, $4, $5, $6 FROM told WHERE in_app
        ), mail AS (
            INSERT INTO emails (user_id, template, cause, task_id, traceparent, state, attempts, next_attempt_at)
            SELECT user_id, $2, $7, $5, $10,
                   CASE WHEN $9 THEN 'sending' ELSE 'queued' END,
                   CASE WHEN $9 THEN 1 ELSE 0 END,
                   clock_timestamp() AT TIME ZONE 'UTC'
                       + CASE WHEN $9 THEN interval '4 seconds' ELSE interval '0' END
            FROM told
            WHERE email
            ON CONFLICT (user_id, template, cause) DO NOTHING
            RETURNING id, user_id, template, task_id, traceparent, attempts
        )
        SELECT mail.id AS mail_id, mail.user_id, mail.task_id, t.subject, t.body, mail.traceparent,
               mail.attempts
        FROM mail
        JOIN email_templates t ON t.name = mail.template
        WHERE $9
        "#,
        &notice.user_ids,
        notice.kind.name(),
        notice.workspace_id,
        notice.actor_id,
        notice.task_id,
        notice.comment_id,
        notice.cause,
        notice.kind == Kind::Welcome,
        claimed,
        ficus_process::trace::current_traceparent(),
    )
    .fetch_all(conn)
    .await?;
    Ok(claims)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use sqlx::Connection as _;
    use trellis_testkit::{Migrations, Server, database};

    use super::*;
    use crate::app::MIGRATOR;

    #[tokio::test]
    async fn a_claim_of_a_transaction_that_has_waited_lasts_as_long_as_any() {
        let migrations = Migrations { migrator: &MIGRATOR, table: "_sqlx_migrations" };
        let database = database(Server::First, &[migrations]).await;
        let mut connection = database.connect().await;
        let known = "WITH workspace AS (
                         INSERT INTO workspaces (name) VALUES ('A') RETURNING id
                     ), person AS (
                         INSERT INTO users (email, name, password_hash) VALUES ('a@example.org', 'A', '') RETURNING id
                     )
                     SELECT person.id, workspace.id FROM person, workspace";
        let (person, workspace_id) =
            sqlx::query_as(known).fetch_one(&mut connection).await.unwrap();
        let notice = Notice {
            user_ids: vec![person],
            kind: Kind::Welcome,
            workspace_id,
            actor_id: None,
            task_id: None,
            comment_id: None,
            cause: "a test".to_owned(),
        };
        let mut transaction = connection.begin().await.unwrap();
        sqlx::query("SELECT pg_sleep(3)").execute(&mut *transaction).await.unwrap();
        assert_eq!(tell(&mut transaction, &notice, true).await.unwrap().len(), 1);
        let lasts = "SELECT next_attempt_at > clock_timestamp() AT TIME ZONE 'UTC' + interval '2 s'
                       FROM emails";
        assert!(sqlx::query_scalar::<_, bool>(lasts).fetch_one(&mut *transaction).await.unwrap());
    }
}
