//! What persons have chosen.

use ficus_pg::Pool;
use sqlx::PgConnection;

use crate::domain::Kind;
use crate::domain::preferences::{Preferences, Setting};

/// A person's preferences, at one moment.
pub async fn read(pool: &Pool, user_id: i64) -> sqlx::Result<Preferences> {
    let mut conn = pool.acquire().await?;
    read_in(&mut conn, user_id).await
}

/// The same, as a part of a transaction.
pub async fn read_in(conn: &mut PgConnection, user_id: i64) -> sqlx::Result<Preferences> {
    let rows = sqlx::query!(
        r#"
        SELECT version, kind::text AS kind, in_app AS "in_app?", email AS "email?"
        FROM preference_sets
        LEFT JOIN preferences USING (user_id)
        WHERE user_id = $1
        "#,
        user_id,
    )
    .fetch_all(conn)
    .await?;
    let version = rows.first().map_or(0, |row| row.version);
    let chosen = rows
        .into_iter()
        .filter_map(|row| {
            let setting = Setting { in_app: row.in_app?, email: row.email? };
            Some((super::kind(&row.kind?), setting))
        })
        .collect();
    Ok(Preferences { chosen, version })
}

/// Sets the kinds that are named, each at most once, and answers the new version. The set's row is
/// locked first, so versions and events of a person are in one order.
pub async fn change(
    conn: &mut PgConnection,
    user_id: i64,
    changes: &[(Kind, Setting)],
) -> sqlx::Result<i64> {
    let version = sqlx::query_scalar!(
        r#"
        INSERT INTO preference_sets AS person (user_id, version)
        VALUES ($1, 1)
        ON CONFLICT (user_id) DO UPDATE SET version = person.version + 1
        RETURNING version
        "#,
        user_id,
    )
    .fetch_one(&mut *conn)
    .await?;
    let kinds: Vec<String> = changes.iter().map(|(kind, _)| kind.name().to_owned()).collect();
    let in_app: Vec<bool> = changes.iter().map(|(_, setting)| setting.in_app).collect();
    let email: Vec<bool> = changes.iter().map(|(_, setting)| setting.email).collect();
    sqlx::query!(
        r#"
        INSERT INTO preferences (user_id, kind, in_app, email)
        SELECT $1, change.kind::kind, change.in_app, change.email
        FROM unnest($2::text[], $3::boolean[], $4::boolean[]) AS change (kind, in_app, email)
        ON CONFLICT (user_id, kind) DO UPDATE SET in_app = excluded.in_app, email = excluded.email
        "#,
        user_id,
        &kinds,
        &in_app,
        &email,
    )
    .execute(conn)
    .await?;
    Ok(version)
}
