//! The in-app inbox.

use chrono::NaiveDateTime;
use sqlx::PgConnection;

use super::Store;
use crate::http::Page;

/// One entry of a person's inbox.
#[derive(Clone, Debug)]
pub struct NotificationRow {
    pub id: i64,
    pub kind: String,
    pub workspace_id: i64,
    pub actor_id: Option<i64>,
    pub task_id: Option<i64>,
    pub comment_id: Option<i64>,
    pub read: bool,
    pub created_at: NaiveDateTime,
}

impl Store {
    /// The person's notifications, newest first.
    pub async fn notifications(
        &self,
        user_id: i64,
        page: Page,
        unread_only: bool,
    ) -> sqlx::Result<Vec<NotificationRow>> {
        sqlx::query_as!(
            NotificationRow,
            r#"
            SELECT id, kind, workspace_id, actor_id, task_id, comment_id,
                   read_at IS NOT NULL AS "read!", created_at
            FROM notifications
            WHERE user_id = $1
              AND id < $2
              AND (read_at IS NULL OR NOT $3)
            ORDER BY id DESC
            LIMIT $4
            "#,
            user_id,
            page.before(),
            unread_only,
            page.rows()
        )
        .fetch_all(&self.pool)
        .await
    }

    /// How many of the person's notifications are unread.
    pub async fn count_unread(&self, user_id: i64) -> sqlx::Result<i64> {
        sqlx::query_scalar!(
            r#"
            SELECT count(*) AS "unread!"
            FROM notifications
            WHERE user_id = $1 AND read_at IS NULL
            "#,
            user_id
        )
        .fetch_one(&self.pool)
        .await
    }
}

/// Marks one of the person's notifications as read, if it is not, and gives it; nothing if it is not
/// theirs. The update stands first, so that a fence refuses what does not exist here too.
pub async fn mark_read(
    conn: &mut PgConnection,
    user_id: i64,
    id: i64,
) -> sqlx::Result<Option<NotificationRow>> {
    sqlx::query!(
        "
        UPDATE notifications SET read_at = now() AT TIME ZONE 'UTC'
        WHERE id = $1 AND user_id = $2 AND read_at IS NULL
        ",
        id,
        user_id
    )
    .execute(&mut *conn)
    .await?;
    sqlx::query_as!(
        NotificationRow,
        r#"
        SELECT id, kind, workspace_id, actor_id, task_id, comment_id, true AS "read!", created_at
        FROM notifications
        WHERE id = $1 AND user_id = $2
        "#,
        id,
        user_id
    )
    .fetch_optional(conn)
    .await
}

/// Marks all of the person's notifications as read and gives how many were not.
pub async fn mark_all_read(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<i64> {
    let marked = sqlx::query!(
        "
        UPDATE notifications SET read_at = now() AT TIME ZONE 'UTC'
        WHERE user_id = $1 AND read_at IS NULL
        ",
        user_id
    )
    .execute(conn)
    .await?;
    Ok(i64::try_from(marked.rows_affected()).unwrap_or(i64::MAX))
}
