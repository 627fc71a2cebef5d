//! Tasks.

use chrono::NaiveDateTime;
use sqlx::PgConnection;

use super::Store;
use crate::modules::core::domain::{State, Task};

/// A task to create.
#[derive(Clone, Copy, Debug)]
pub struct NewTask<'a> {
    pub project_id: i64,
    pub title: &'a str,
    pub assignee_id: Option<i64>,
}

struct TaskRow {
    id: i64,
    project_id: i64,
    workspace_id: i64,
    title: String,
    state: String,
    assignee_id: Option<i64>,
    version: i64,
    created_at: NaiveDateTime,
}

impl From<TaskRow> for Task {
    fn from(row: TaskRow) -> Self {
        Self {
            id: row.id,
            project_id: row.project_id,
            workspace_id: row.workspace_id,
            title: row.title,
            state: State::named(&row.state),
            assignee_id: row.assignee_id,
            version: row.version,
            created_at: row.created_at,
        }
    }
}

/// The workspace of a project that the caller may see.
pub async fn place(
    conn: &mut PgConnection,
    caller_id: i64,
    project_id: i64,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "
        SELECT p.workspace_id
        FROM projects p
        JOIN members m ON m.workspace_id = p.workspace_id AND m.user_id = $1
        WHERE p.id = $2
        ",
        caller_id,
        project_id
    )
    .fetch_optional(conn)
    .await
}

/// A task in a project of this workspace; nothing if the assignee is no member of it.
pub async fn create_task(
    conn: &mut PgConnection,
    workspace_id: i64,
    task: NewTask<'_>,
) -> sqlx::Result<Option<Task>> {
    let row = sqlx::query_as!(
        TaskRow,
        r#"
        INSERT INTO tasks (project_id, title, assignee_id)
        SELECT $2, $3, $4
        WHERE $4::bigint IS NULL
           OR EXISTS (SELECT FROM members WHERE workspace_id = $1 AND user_id = $4)
        RETURNING id, project_id, $1::bigint AS "workspace_id!", title, state, assignee_id, version,
                  created_at
        "#,
        workspace_id,
        task.project_id,
        task.title,
        task.assignee_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Task::from))
}

/// A task that the caller may see, locked until the transaction ends; what refers to it need not wait.
pub async fn task_for_update(
    conn: &mut PgConnection,
    caller_id: i64,
    task_id: i64,
) -> sqlx::Result<Option<Task>> {
    let row = sqlx::query_as!(
        TaskRow,
        "
        SELECT t.id, t.project_id, p.workspace_id, t.title, t.state, t.assignee_id, t.version,
               t.created_at
        FROM tasks t
        JOIN projects p ON p.id = t.project_id
        JOIN members m ON m.workspace_id = p.workspace_id AND m.user_id = $1
        WHERE t.id = $2
        FOR NO KEY UPDATE OF t
        ",
        caller_id,
        task_id
    )
    .fetch_optional(conn)
    .await?;
    Ok(row.map(Task::from))
}

/// Writes title, state and assignee of a locked task, and gives its new version; nothing if the
/// assignee is no member of the workspace.
pub async fn change_task(conn: &mut PgConnection, task: &Task) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar!(
        "
        UPDATE tasks
        SET title = $2, state = $3, assignee_id = $4, version = version + 1
        WHERE id = $1
          AND ($4::bigint IS NULL
               OR EXISTS (SELECT FROM members WHERE workspace_id = $5 AND user_id = $4))
        RETURNING version
        ",
        task.id,
        task.title,
        task.state.name(),
        task.assignee_id,
        task.workspace_id
    )
    .fetch_optional(conn)
    .await
}

impl Store {
    /// A task that the caller may see.
    pub async fn task(&self, caller_id: i64, task_id: i64) -> sqlx::Result<Option<Task>> {
        let row = sqlx::query_as!(
            TaskRow,
            "
            SELECT t.id, t.project_id, p.workspace_id, t.title, t.state, t.assignee_id, t.version,
                   t.created_at
            FROM tasks t
            JOIN projects p ON p.id = t.project_id
            JOIN members m ON m.workspace_id = p.workspace_id AND m.user_id = $1
            WHERE t.id = $2
            ",
            caller_id,
            task_id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(Task::from))
    }

    /// Tasks with a smaller id than `before`, newest first; nothing if the caller may not see the
    /// project.
    pub async fn tasks(
        &self,
        caller_id: i64,
        project_id: i64,
        before: i64,
        rows: i64,
    ) -> sqlx::Result<Option<Vec<Task>>> {
        let found = sqlx::query!(
            r#"
            SELECT p.workspace_id, t.id AS "id?", t.title AS "title?", t.state AS "state?",
                   t.assignee_id AS "assignee_id?", t.version AS "version?",
                   t.created_at AS "created_at?"
            FROM projects p
            JOIN members m ON m.workspace_id = p.workspace_id AND m.user_id = $1
            LEFT JOIN LATERAL (
                SELECT id, title, state, assignee_id, version, created_at
                FROM tasks
                WHERE project_id = p.id AND id < $3
                ORDER BY id DESC
                LIMIT $4
            ) t ON true
            WHERE p.id = $2
            ORDER BY t.id DESC
            "#,
            caller_id,
            project_id,
            before,
            rows
        )
        .fetch_all(&self.pool)
        .await?;
        if found.is_empty() {
            return Ok(None);
        }
        let tasks = found.into_iter().filter_map(|row| {
            Some(Task {
                id: row.id?,
                project_id,
                workspace_id: row.workspace_id,
                title: row.title?,
                state: State::named(&row.state?),
                assignee_id: row.assignee_id,
                version: row.version?,
                created_at: row.created_at?,
            })
        });
        Ok(Some(tasks.collect()))
    }
}
