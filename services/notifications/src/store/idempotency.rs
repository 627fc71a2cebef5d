//! Keys of writes and their stored answers.

use sqlx::PgConnection;

/// What is stored under a key.
pub struct Stored {
    pub request_hash: Vec<u8>,
    /// The answer as the contract's JSON, the same on both sides of a move.
    pub answer: Vec<u8>,
}

/// Takes the key; if it was taken before, answers what is stored. A writer that holds the same key
/// and has not committed is waited for.
pub async fn take(
    conn: &mut PgConnection,
    scope: &str,
    key: &str,
    request_hash: &[u8],
) -> sqlx::Result<Option<Stored>> {
    let taken = sqlx::query!(
        r#"
        INSERT INTO idempotency (scope, key, request_hash, answer)
        VALUES ($1, $2, $3, '')
        ON CONFLICT DO NOTHING
        "#,
        scope,
        key,
        request_hash,
    )
    .execute(&mut *conn)
    .await?;
    if taken.rows_affected() == 1 {
        return Ok(None);
    }
    sqlx::query_as!(
        Stored,
        "SELECT request_hash, answer FROM idempotency WHERE scope = $1 AND key = $2",
        scope,
        key,
    )
    .fetch_one(conn)
    .await
    .map(Some)
}

/// Stores the answer under a key that this transaction has taken.
pub async fn keep(
    conn: &mut PgConnection,
    scope: &str,
    key: &str,
    answer: &[u8],
) -> sqlx::Result<()> {
    let kept = sqlx::query!(
        "UPDATE idempotency SET answer = $3 WHERE scope = $1 AND key = $2",
        scope,
        key,
        answer,
    )
    .execute(conn)
    .await?;
    if kept.rows_affected() == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound) }
}
