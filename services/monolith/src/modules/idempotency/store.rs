//! The transaction of a write, and the keys' tables.

use std::ops::{Deref, DerefMut};

use ficus_pg::Pool;
use ficus_process::failpoint;
use ficus_rpc::Error;
use prost_reflect::ReflectMessage;
use sqlx::PgConnection;

use super::Attempt;
use crate::http::{Answer, Ended};

/// Whose table a key stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Capability {
    Auth,
    Core,
    Notifications,
}

/// Where a capability's writes begin.
#[derive(Clone, Debug)]
pub struct Writes {
    pool: Pool,
    capability: Capability,
}

/// A write under way: it may change the database, and ends by its answer.
#[must_use = "a write that is not answered is rolled back"]
pub struct Write {
    tx: ficus_pg::Transaction,
    capability: Capability,
    kept: Option<(String, String)>,
}

impl Writes {
    /// The writes of one capability.
    pub fn new(pool: Pool, capability: Capability) -> Self {
        Self { pool, capability }
    }

    /// Begins the attempt. One with the key of a write under way waits for that.
    ///
    /// # Errors
    /// [`Ended::Replayed`] when the write was answered before under this key; `idempotency_key_reused`
    /// when the key belongs to another request.
    pub async fn begin(&self, attempt: Attempt) -> Result<Write, Ended> {
        let mut tx = ficus_pg::begin(&self.pool, attempt.method).await?;
        let Some(key) = attempt.key else {
            return Ok(Write { tx, capability: self.capability, kept: None });
        };
        let (scope, hash) = (attempt.scope, attempt.request_hash);
        if claim(self.capability, &mut tx, &scope, &key, &hash).await? {
            return Ok(Write { tx, capability: self.capability, kept: Some((scope, key)) });
        }
        let (first_hash, answer) = kept(self.capability, &mut tx, &scope, &key).await?;
        if first_hash != hash {
            return Err(reused().into());
        }
        Err(Ended::Replayed(Answer::from(answer)))
    }
}

impl Write {
    /// Commits, and answers with `message`.
    pub async fn answer<M: ReflectMessage>(self, message: &M) -> Result<Answer, Ended> {
        self.answer_keeping(message, message).await
    }

    /// Commits, and answers with `message`; what is stored for a replay is `stored`.
    pub async fn answer_keeping<M: ReflectMessage>(
        mut self,
        message: &M,
        stored: &M,
    ) -> Result<Answer, Ended> {
        if let Some((scope, key)) = self.kept.take() {
            let stored = Answer::of(stored);
            keep(self.capability, &mut self.tx, &scope, &key, stored.as_bytes()).await?;
        }
        self.tx.commit().await?;
        failpoint::reach("write.committed").await;
        Ok(Answer::of(message))
    }
}

impl Deref for Write {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.tx
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.tx
    }
}

/// The refusal of a key that belongs to another request.
pub fn reused() -> Error {
    Error::unprocessable("idempotency_key_reused", "this Idempotency-Key named another request")
}

/// The three statements over one capability's table. They differ in the table's name only, which a
/// checked statement must spell out.
macro_rules! keys_in {
    ($name:ident, $table:literal) => {
        mod $name {
            use sqlx::PgConnection;

            pub async fn claim(
                conn: &mut PgConnection,
                scope: &str,
                key: &str,
                request_hash: &[u8],
            ) -> sqlx::Result<bool> {
                let inserted = sqlx::query!(
                    "INSERT INTO "
                        + $table
                        + " (scope, key, request_hash, answer)
                     VALUES ($1, $2, $3, '')
                     ON CONFLICT DO NOTHING",
                    scope,
                    key,
                    request_hash
                )
                .execute(conn)
                .await?;
                Ok(inserted.rows_affected() == 1)
            }

            pub async fn kept(
                conn: &mut PgConnection,
                scope: &str,
                key: &str,
            ) -> sqlx::Result<(Vec<u8>, Vec<u8>)> {
                let row = sqlx::query!(
                    "SELECT request_hash, answer FROM " + $table + " WHERE scope = $1 AND key = $2",
                    scope,
                    key
                )
                .fetch_one(conn)
                .await?;
                Ok((row.request_hash, row.answer))
            }

            pub async fn keep(
                conn: &mut PgConnection,
                scope: &str,
                key: &str,
                answer: &[u8],
            ) -> sqlx::Result<()> {
                sqlx::query!(
                    "UPDATE " + $table + " SET answer = $3 WHERE scope = $1 AND key = $2",
                    scope,
                    key,
                    answer
                )
                .execute(conn)
                .await?;
                Ok(())
            }
        }
    };
}

keys_in!(auth_keys, "auth_idempotency");
keys_in!(core_keys, "core_idempotency");
keys_in!(notifications_keys, "notifications_idempotency");

async fn claim(
    capability: Capability,
    conn: &mut PgConnection,
    scope: &str,
    key: &str,
    request_hash: &[u8],
) -> sqlx::Result<bool> {
    match capability {
        Capability::Auth => auth_keys::claim(conn, scope, key, request_hash).await,
        Capability::Core => core_keys::claim(conn, scope, key, request_hash).await,
        Capability::Notifications => {
            notifications_keys::claim(conn, scope, key, request_hash).await
        }
    }
}

async fn kept(
    capability: Capability,
    conn: &mut PgConnection,
    scope: &str,
    key: &str,
) -> sqlx::Result<(Vec<u8>, Vec<u8>)> {
    match capability {
        Capability::Auth => auth_keys::kept(conn, scope, key).await,
        Capability::Core => core_keys::kept(conn, scope, key).await,
        Capability::Notifications => notifications_keys::kept(conn, scope, key).await,
    }
}

async fn keep(
    capability: Capability,
    conn: &mut PgConnection,
    scope: &str,
    key: &str,
    answer: &[u8],
) -> sqlx::Result<()> {
    match capability {
        Capability::Auth => auth_keys::keep(conn, scope, key, answer).await,
        Capability::Core => core_keys::keep(conn, scope, key, answer).await,
        Capability::Notifications => notifications_keys::keep(conn, scope, key, answer).await,
    }
}
