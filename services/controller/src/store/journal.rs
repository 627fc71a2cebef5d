//! The journal, and the facts that it explains.

use super::{Result, Store, bounded};
use crate::domain::{Entry, Facts};

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

    /// The move of one capability and its whole journal. What changes in between is read again a few times.
    pub async fn account(&self, capability: &str) -> Result<Option<(Facts, Vec<Entry>)>> {
        let mut facts = self.facts(capability).await?;
        let mut entries = Vec::new();
        for _ in 0..3 {
            entries = self.journal(capability, u32::MAX).await?;
            let after = self.facts(capability).await?;
            if std::mem::replace(&mut facts, after) == facts {
                break;
            }
        }
        Ok(facts.map(|facts| (facts, entries)))
    }
}
