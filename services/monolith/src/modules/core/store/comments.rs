//! Comments.

use chrono::NaiveDateTime;
use sqlx::PgConnection;

use super::Store;

/// One comment.
#[derive(Clone, Debug)]
pub struct CommentRow {
    pub id: i64,
    pub task_id: i64,
    pub author_id: i64,
    pub body: String,
    pub created_at: NaiveDateTime,
}

/// A comment that was made, with the task's workspace and its new version.
#[derive(Clone, Debug)]
pub struct Commented {
    pub comment: CommentRow,
    pub workspace_id: i64,
    pub version: i64,
}

/// A comment on a task that the author may see; nothing if they may not. The task's row is changed
/// first, so that versions and the ids of comments are in one order.
pub async fn create_comment(
    conn: &mut PgConnection,
    author_id: i64,
    task_id: i64,
    body: &str,
) -> sqlx::Result<Option<Commented>> {
    let row = sqlx::query!(
        "
        WITH task AS (
            UPDATE tasks t
            SET version = t.version + 1
            FROM projects p
            JOIN members m ON m.workspace_id = p.workspace_id AND m.user_id = $1
            WHERE t.id = $2 AND p.id = t.project_id
            RETURNING t.id, t.version, p.workspace_id
        ), comment AS (
            INSERT INTO comments (task_id, author_id, body)
            SELECT id, $1, $3 FROM task
            RETURNING id, created_at
        )
        SELECT comment.id, comment.created_at, task.version, task.workspace_id
        FROM comment, task
        ",
        author_id,
        task_id,
        body
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(|row| Commented {
        comment: CommentRow {
            id: row.id,
            task_id,
            author_id,
            body: body.to_owned(),
            created_at: row.created_at,
        },
        workspace_id: row.workspace_id,
        version: row.version,
    }))
}

/// Those of the persons who are members of the workspace.
pub async fn members_of(
    conn: &mut PgConnection,
    workspace_id: i64,
    user_ids: &[i64],
) -> sqlx::Result<Vec<i64>> {
    if user_ids.is_empty() {
        return Ok(Vec::new());
    }
    sqlx::query_scalar!(
        "
        SELECT user_id FROM members
        WHERE workspace_id = $1 AND user_id = ANY ($2)
        ORDER BY user_id
        ",
        workspace_id,
        user_ids
    )
    .fetch_all(conn)
    .await
}

impl Store {
    /// Comments with a greater id than `after`, oldest first; nothing if the caller may not see the
    /// task.
    pub async fn comments(
        &self,
        caller_id: i64,
        task_id: i64,
        after: i64,
        rows: i64,
    ) -> sqlx::Result<Option<Vec<CommentRow>>> {
        let found = sqlx::query!(
            r#"
            SELECT c.id AS "id?", c.author_id AS "author_id?", c.body AS "body?",
                   c.created_at AS "created_at?"
            FROM tasks t
            JOIN projects p ON p.id = t.project_id
            JOIN members m ON m.workspace_id = p.workspace_id AND m.user_id = $1
            LEFT JOIN LATERAL (
                SELECT id, author_id, body, created_at
                FROM comments
                WHERE task_id = t.id AND id > $3
                ORDER BY id
                LIMIT $4
            ) c ON true
            WHERE t.id = $2
            ORDER BY c.id
            "#,
            caller_id,
            task_id,
            after,
            rows
        )
        .fetch_all(&self.pool)
        .await?;
        if found.is_empty() {
            return Ok(None);
        }
        let comments = found.into_iter().filter_map(|row| {
            let (id, author_id) = (row.id?, row.author_id?);
            Some(CommentRow {
                id,
                task_id,
                author_id,
                body: row.body?,
                created_at: row.created_at?,
            })
        });
        Ok(Some(comments.collect()))
    }
}
