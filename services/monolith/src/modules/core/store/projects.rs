//! Projects.

use chrono::NaiveDateTime;
use sqlx::PgConnection;

use super::Store;

/// One project.
#[derive(Clone, Debug)]
pub struct ProjectRow {
    pub id: i64,
    pub workspace_id: i64,
    pub name: String,
    pub created_at: NaiveDateTime,
}

/// A project in one of the caller's workspaces; nothing if it is none of theirs.
pub async fn create_project(
    conn: &mut PgConnection,
    caller_id: i64,
    workspace_id: i64,
    name: &str,
) -> sqlx::Result<Option<ProjectRow>> {
    sqlx::query_as!(
        ProjectRow,
        "
        INSERT INTO projects (workspace_id, name)
        SELECT workspace_id, $3
        FROM members
        WHERE workspace_id = $2 AND user_id = $1
        RETURNING id, workspace_id, name, created_at
        ",
        caller_id,
        workspace_id,
        name
    )
    .fetch_optional(conn)
    .await
}

impl Store {
    /// Projects with a greater id than `after`; nothing if the workspace is none of the caller's.
    pub async fn projects(
        &self,
        caller_id: i64,
        workspace_id: i64,
        after: i64,
        rows: i64,
    ) -> sqlx::Result<Option<Vec<ProjectRow>>> {
        let found = sqlx::query!(
            r#"
            SELECT p.id AS "id?", p.name AS "name?", p.created_at AS "created_at?"
            FROM members m
            LEFT JOIN LATERAL (
                SELECT id, name, created_at
                FROM projects
                WHERE workspace_id = m.workspace_id AND id > $3
                ORDER BY id
                LIMIT $4
            ) p ON true
            WHERE m.workspace_id = $2 AND m.user_id = $1
            ORDER BY p.id
            "#,
            caller_id,
            workspace_id,
            after,
            rows
        )
        .fetch_all(&self.pool)
        .await?;
        if found.is_empty() {
            return Ok(None);
        }
        let projects = found.into_iter().filter_map(|row| {
            let (id, name, created_at) = (row.id?, row.name?, row.created_at?);
            Some(ProjectRow { id, workspace_id, name, created_at })
        });
        Ok(Some(projects.collect()))
    }
}
