//! Persons.

use sqlx::PgConnection;

use super::Store;
use crate::modules::auth::domain::Person;

/// A person who signs up.
#[derive(Clone, Debug)]
pub struct NewUser<'a> {
    pub email: &'a str,
    pub name: &'a str,
    pub password_hash: &'a str,
    pub workspace_name: &'a str,
}

/// What a sign-up made.
#[derive(Clone, Copy, Debug)]
pub struct SignedUp {
    pub user_id: i64,
    pub workspace_id: i64,
    /// Of the user.
    pub version: i64,
}

/// What a sign-in is checked against.
#[derive(Clone, Debug)]
pub struct Credentials {
    pub user_id: i64,
    pub password_hash: String,
}

/// The person, a workspace and their ownership of it; nothing if the address is taken.
pub async fn sign_up(conn: &mut PgConnection, user: NewUser<'_>) -> sqlx::Result<Option<SignedUp>> {
    sqlx::query_as!(
        SignedUp,
        r#"
        WITH person AS (
            INSERT INTO users (email, name, password_hash)
            VALUES ($1, $2, $3)
            ON CONFLICT (email) DO NOTHING
            RETURNING id, version
        ), workspace AS (
            INSERT INTO workspaces (name)
            SELECT $4 FROM person
            RETURNING id
        ), owner AS (
            INSERT INTO members (workspace_id, user_id, role)
            SELECT workspace.id, person.id, 'owner' FROM workspace, person
        )
        SELECT person.id AS user_id, workspace.id AS workspace_id, person.version
        FROM person, workspace
        "#,
        user.email,
        user.name,
        user.password_hash,
        user.workspace_name
    )
    .fetch_optional(conn)
    .await
}

impl Store {
    /// What the person with this address signs in with.
    pub async fn credentials(&self, email: &str) -> sqlx::Result<Option<Credentials>> {
        sqlx::query_as!(
            Credentials,
            "SELECT id AS user_id, password_hash FROM users WHERE email = $1",
            email
        )
        .fetch_optional(&self.pool)
        .await
    }

    /// The hash of this person's password.
    pub async fn password_hash(&self, user_id: i64) -> sqlx::Result<Option<String>> {
        sqlx::query_scalar!("SELECT password_hash FROM users WHERE id = $1", user_id)
            .fetch_optional(&self.pool)
            .await
    }

    /// The persons that exist.
    pub async fn persons(&self, user_ids: &[i64]) -> sqlx::Result<Vec<Person>> {
        sqlx::query_as!(
            Person,
            "SELECT id AS user_id, name, email FROM users WHERE id = ANY ($1)",
            user_ids
        )
        .fetch_all(&self.pool)
        .await
    }
}
