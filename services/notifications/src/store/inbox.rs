//! The in-app inbox.

use ficus_pg::Pool;
use sqlx::PgConnection;

use crate::domain::notice::Notice;
use crate::domain::notification::Notification;
use crate::domain::page::Page;

/// A person's notifications, newest first; one more than the page holds, if there is one.
pub async fn list(
    pool: &Pool,
    user_id: i64,
    page: Page,
    unread_only: bool,
) -> sqlx::Result<Vec<Notification>> {
    let rows = sqlx::query!(
        r#"
        SELECT id, kind::text AS "kind!", workspace_id, actor_id, task_id, comment_id,
               read_at IS NOT NULL AS "read!", created_at
        FROM inbox_items
        WHERE user_id = $1
          AND id < $2
          AND (read_at IS NULL OR NOT $3)
        ORDER BY id DESC
        LIMIT $4
        "#,
        user_id,
        page.before,
        unread_only,
        page.size + 1,
    )
    .fetch_all(pool)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Notification {
            id: row.id,
            kind: super::kind(&row.kind),
            workspace_id: row.workspace_id,
            actor_id: row.actor_id,
            task_id: row.task_id,
            comment_id: row.comment_id,
            read: row.read,
            created_at: row.created_at,
        })
        .collect())
}

/// How many of a person's notifications are unread.
pub async fn count_unread(pool: &Pool, user_id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "unread!" FROM inbox_items WHERE user_id = $1 AND read_at IS NULL"#,
        user_id,
    )
    .fetch_one(pool)
    .await
}

/// Marks one of the person's notifications as read, if it is not, and answers it; `None` if it is
/// not theirs. The update stands first, so that a fence refuses what does not exist here too.
pub async fn mark_read(
    conn: &mut PgConnection,
    user_id: i64,
    id: i64,
) -> sqlx::Result<Option<Notification>> {
    sqlx::query!(
        "UPDATE inbox_items SET read_at = now() WHERE id = $1 AND user_id = $2 AND read_at IS NULL",
        id,
        user_id,
    )
    .execute(&mut *conn)
    .await?;
    let row = sqlx::query!(
        r#"
        SELECT kind::text AS "kind!", workspace_id, actor_id, task_id, comment_id, created_at
        FROM inbox_items
        WHERE id = $1 AND user_id = $2
        "#,
        id,
        user_id,
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Notification {
        id,
        kind: super::kind(&row.kind),
        workspace_id: row.workspace_id,
        actor_id: row.actor_id,
        task_id: row.task_id,
        comment_id: row.comment_id,
        read: true,
        created_at: row.created_at,
    }))
}

/// Marks all of a person's notifications as read and answers how many were not.
pub async fn mark_all_read(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<i64> {
    let done = sqlx::query!(
        "UPDATE inbox_items SET read_at = now() WHERE user_id = $1 AND read_at IS NULL",
        user_id,
    )
    .execute(conn)
    .await?;
    Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
}

/// Puts a notice into the person's inbox.
pub async fn add(conn: &mut PgConnection, notice: &Notice) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        INSERT INTO inbox_items (user_id, kind, workspace_id, actor_id, task_id, comment_id)
        VALUES ($1, $2::text::kind, $3, $4, $5, $6)
        "#,
        notice.user_id,
        notice.kind.name(),
        notice.workspace_id,
        notice.actor_id,
        notice.task_id,
        notice.comment_id,
    )
    .execute(conn)
    .await?;
    Ok(())
}
