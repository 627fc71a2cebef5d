//! Events that were applied, and keys whose events wait behind one that could not be.

use std::collections::HashSet;

use sqlx::PgConnection;
use uuid::Uuid;

/// Notes the events as applied and gives those that were not yet.
pub async fn fresh(conn: &mut PgConnection, ids: &[Uuid]) -> sqlx::Result<HashSet<Uuid>> {
    let fresh = sqlx::query_scalar!(
        "
        INSERT INTO notifications_inbox (event_id)
        SELECT unnest($1::uuid[])
        ON CONFLICT DO NOTHING
        RETURNING event_id
        ",
        ids
    )
    .fetch_all(conn)
    .await?;
    Ok(fresh.into_iter().collect())
}

/// Which of the topics and keys, given pair by pair, are parked; as their positions from 0.
pub async fn parked(
    conn: &mut PgConnection,
    topics: &[String],
    keys: &[String],
) -> sqlx::Result<Vec<usize>> {
    let positions = sqlx::query_scalar!(
        r#"
        SELECT asked.position AS "position!"
        FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (topic, key, position)
        JOIN notifications_parked USING (topic, key)
        "#,
        topics,
        keys
    )
    .fetch_all(conn)
    .await?;
    Ok(positions.into_iter().filter_map(|position| usize::try_from(position - 1).ok()).collect())
}

/// Parks a key; one that is parked stays as it is.
pub async fn park(
    conn: &mut PgConnection,
    topic: &str,
    key: &str,
    event_id: Uuid,
    reason: &str,
) -> sqlx::Result<()> {
    sqlx::query!(
        "
        INSERT INTO notifications_parked (topic, key, event_id, reason)
        VALUES ($1, $2, $3, $4)
        ON CONFLICT DO NOTHING
        ",
        topic,
        key,
        event_id,
        reason
    )
    .execute(conn)
    .await?;
    Ok(())
}

/// Notes the event as the latest that waits behind the parked key; false if that is not parked.
pub async fn follow(
    conn: &mut PgConnection,
    topic: &str,
    key: &str,
    event_id: Uuid,
) -> sqlx::Result<bool> {
    let followed = sqlx::query!(
        "
        UPDATE notifications_parked
        SET event_id = $3
        WHERE topic = $1 AND key = $2
        ",
        topic,
        key,
        event_id,
    );
    Ok(followed.execute(conn).await?.rows_affected() == 1)
}

/// Frees the key if the latest that waits behind it is one of `redriven`; false if it is parked still.
pub async fn unpark(
    conn: &mut PgConnection,
    topic: &str,
    key: &str,
    redriven: &[Uuid],
) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        WITH freed AS (
            DELETE FROM notifications_parked
            WHERE topic = $1 AND key = $2 AND event_id = ANY ($3)
            RETURNING true
        )
        SELECT EXISTS (SELECT FROM freed)
            OR NOT EXISTS (SELECT FROM notifications_parked WHERE topic = $1 AND key = $2) AS "is_free!"
        "#,
        topic,
        key,
        redriven,
    )
    .fetch_one(conn)
    .await
}
