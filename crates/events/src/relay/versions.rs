//! Whether a key's versions go up, as far as this leader remembers.

use std::collections::HashMap;

use super::page::Row;

/// Beyond this the memory is emptied: the check is a net, not the rule that keeps the order.
const MAX_KEYS: usize = 100_000;

/// The last version of each topic's key.
#[derive(Default)]
pub struct Versions(HashMap<(String, String), i64>);

/// A key's writer did not hold the aggregate's row lock when it appended.
#[derive(Debug, thiserror::Error)]
#[error("the version of key {key} in {topic} goes back from {from} to {to} at outbox id {id}")]
pub struct WentBack {
    topic: String,
    key: String,
    from: i64,
    to: i64,
    id: i64,
}

impl Versions {
    pub fn check(&mut self, rows: &[Row]) -> Result<(), WentBack> {
        if self.0.len() > MAX_KEYS {
            self.0.clear();
        }
        for row in rows {
            let Row { id, topic, key, version, .. } = row;
            let last = self.0.entry((topic.clone(), key.clone())).or_insert(*version);
            if *version < *last {
                let (topic, key) = (topic.clone(), key.clone());
                return Err(WentBack { topic, key, from: *last, to: *version, id: *id });
            }
            *last = *version;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(key: &str, version: i64) -> Row {
        Row {
            id: 1,
            topic: "t".into(),
            key: key.into(),
            version,
            event_id: uuid::Uuid::nil(),
            kind: "k".into(),
            payload: Vec::new(),
            traceparent: None,
        }
    }

    #[test]
    fn versions_may_stand_or_rise_for_each_key() {
        let mut versions = Versions::default();
        assert!(versions.check(&[row("a", 4), row("b", 1), row("a", 5), row("a", 5)]).is_ok());
        assert!(versions.check(&[row("b", 2), row("a", 4)]).is_err());
    }
}
