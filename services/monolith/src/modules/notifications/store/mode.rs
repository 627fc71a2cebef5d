//! How mail leaves: a row that is changed while Trellis runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::Store;
use crate::modules::notifications::domain::MailMode;

/// How old an answer may be.
const FRESH: Duration = Duration::from_millis(100);

/// Reads the mode, at most every 100 ms.
#[derive(Clone, Debug, Default)]
pub struct ModeReader {
    last: Arc<Mutex<Option<(MailMode, Instant)>>>,
}

impl ModeReader {
    /// The mode now, or up to 100 ms ago. It is read by the caller's connection, so that no request
    /// waits for a second one.
    pub async fn read(&self, conn: &mut PgConnection) -> sqlx::Result<MailMode> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((mode, at)) = last
            && at.elapsed() < FRESH
        {
            return Ok(mode);
        }
        let at = Instant::now();
        let name = sqlx::query_scalar!("SELECT mail_mode FROM settings").fetch_one(conn).await?;
        let mode = named(&name);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((mode, at));
        Ok(mode)
    }
}

impl Store {
    /// The mode now.
    pub async fn mode(&self) -> sqlx::Result<MailMode> {
        let name = sqlx::query_scalar!("SELECT mail_mode FROM settings");
        Ok(named(&name.fetch_one(&self.pool).await?))
    }

    /// Whether this program's tables are there, and the engine's.
    pub async fn is_migrated(&self) -> sqlx::Result<bool> {
        sqlx::query_scalar!(
            r#"
            SELECT to_regclass('public.settings') IS NOT NULL
               AND to_regclass('ficus.outbox') IS NOT NULL AS "migrated!"
            "#
        )
        .fetch_one(&self.pool)
        .await
    }

    /// Sets the mode from now on.
    pub async fn set_mode(&self, mode: MailMode) -> sqlx::Result<()> {
        let update = sqlx::query!("UPDATE settings SET mail_mode = $1", mode.name());
        update.execute(&self.pool).await?;
        Ok(())
    }
}

fn named(name: &str) -> MailMode {
    MailMode::named(name).expect("the table holds no other names")
}
