//! Workspaces and their members.

use chrono::NaiveDateTime;
use sqlx::PgConnection;

use super::Store;

/// One workspace.
#[derive(Clone, Debug)]
pub struct WorkspaceRow {
    pub id: i64,
    pub name: String,
    pub created_at: NaiveDateTime,
}

/// One member.
#[derive(Clone, Debug)]
pub struct MemberRow {
    pub user_id: i64,
    pub name: String,
    pub role: String,
}

/// A workspace with its owner.
pub async fn create_workspace(
    conn: &mut PgConnection,
    owner_id: i64,
    name: &str,
) -> sqlx::Result<WorkspaceRow> {
    sqlx::query_as!(
        WorkspaceRow,
        "
        WITH workspace AS (
            INSERT INTO workspaces (name) VALUES ($2) RETURNING id, name, created_at
        ), owner AS (
            INSERT INTO members (workspace_id, user_id, role)
            SELECT id, $1, 'owner' FROM workspace
        )
        SELECT id, name, created_at FROM workspace
        ",
        owner_id,
        name
    )
    .fetch_one(conn)
    .await
}

/// Makes the person with this address a member, as whom they are already if they are one. Nothing if
/// nobody has the address.
pub async fn add_member(
    conn: &mut PgConnection,
    workspace_id: i64,
    email: &str,
) -> sqlx::Result<Option<MemberRow>> {
    sqlx::query_as!(
        MemberRow,
        r#"
        WITH person AS (
            SELECT id, name FROM users WHERE email = $2
        ), member AS (
            INSERT INTO members (workspace_id, user_id, role)
            SELECT $1, id, 'member' FROM person
            ON CONFLICT (workspace_id, user_id) DO UPDATE SET role = members.role
            RETURNING user_id, role
        )
        SELECT member.user_id, person.name, member.role FROM member, person
        "#,
        workspace_id,
        email
    )
    .fetch_optional(conn)
    .await
}

impl Store {
    /// The person's workspaces, oldest first.
    pub async fn workspaces(&self, user_id: i64) -> sqlx::Result<Vec<WorkspaceRow>> {
        sqlx::query_as!(
            WorkspaceRow,
            "
            SELECT w.id, w.name, w.created_at
            FROM members m
            JOIN workspaces w ON w.id = m.workspace_id
            WHERE m.user_id = $1
            ORDER BY w.id
            ",
            user_id
        )
        .fetch_all(&self.pool)
        .await
    }

    /// Whether the person belongs to the workspace.
    pub async fn is_member(&self, workspace_id: i64, user_id: i64) -> sqlx::Result<bool> {
        sqlx::query_scalar!(
            r#"
            SELECT EXISTS (
                SELECT FROM members WHERE workspace_id = $1 AND user_id = $2
            ) AS "member!"
            "#,
            workspace_id,
            user_id
        )
        .fetch_one(&self.pool)
        .await
    }

    /// Members with a greater id than `after`, if the caller is one of them; else none.
    pub async fn members(
        &self,
        caller_id: i64,
        workspace_id: i64,
        after: i64,
        rows: i64,
    ) -> sqlx::Result<Vec<MemberRow>> {
        sqlx::query_as!(
            MemberRow,
            "
            SELECT m.user_id, u.name, m.role
            FROM members m
            JOIN users u ON u.id = m.user_id
            WHERE m.workspace_id = $2 AND m.user_id > $3
              AND EXISTS (SELECT FROM members WHERE workspace_id = $2 AND user_id = $1)
            ORDER BY m.user_id
            LIMIT $4
            ",
            caller_id,
            workspace_id,
            after,
            rows
        )
        .fetch_all(&self.pool)
        .await
    }
}
