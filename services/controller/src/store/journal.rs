//! The journal, as status shows it.

use chrono::{DateTime, Utc};

use super::{Result, Store, bounded};

/// One line of the journal.
#[derive(Debug, Clone)]
pub struct Entry {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub attempt: i64,
    pub epoch: i64,
    pub step: String,
    pub text: String,
    pub by: String,
}

impl Store {
    /// The last `count` lines of one move, newest last.
    pub async fn journal(&self, capability: &str, count: u32) -> Result<Vec<Entry>> {
        let rows = sqlx::query_as!(
            Entry,
            "SELECT id AS \"id!\", at AS \"at!\", attempt AS \"attempt!\", epoch AS \"epoch!\",
                    step AS \"step!\", text AS \"text!\", by AS \"by!\"
               FROM (SELECT * FROM journal WHERE capability = $1 ORDER BY id DESC LIMIT $2) AS newest
              ORDER BY id",
            capability,
            i64::from(count),
        )
        .fetch_all(&self.pool);
        bounded(rows).await
    }
}
