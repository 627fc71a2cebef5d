//! What persons have chosen: one document each.

use std::collections::BTreeMap;

use sqlx::PgConnection;
use sqlx::types::Json;

use super::Store;
use crate::modules::notifications::domain::{Preferences, Setting};

type Settings = BTreeMap<String, Setting>;

impl Store {
    /// The person's preferences.
    pub async fn preferences(&self, user_id: i64) -> sqlx::Result<Preferences> {
        let row = sqlx::query!(
            r#"
            SELECT settings AS "settings: Json<Settings>", version
            FROM notification_preferences
            WHERE user_id = $1
            "#,
            user_id
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map_or_else(Preferences::default, |row| Preferences {
            settings: row.settings.0,
            version: row.version,
        }))
    }
}

/// Replaces the kinds that are named and gives the whole. The upsert locks the row, so versions and
/// events of a person are in one order.
pub async fn change_preferences(
    conn: &mut PgConnection,
    user_id: i64,
    changes: Settings,
) -> sqlx::Result<Preferences> {
    let row = sqlx::query!(
        r#"
        INSERT INTO notification_preferences AS person (user_id, settings)
        VALUES ($1, $2)
        ON CONFLICT (user_id) DO UPDATE
        SET settings = person.settings || excluded.settings, version = person.version + 1
        RETURNING settings AS "settings: Json<Settings>", version
        "#,
        user_id,
        Json(changes) as _
    )
    .fetch_one(conn)
    .await?;
    Ok(Preferences { settings: row.settings.0, version: row.version })
}
