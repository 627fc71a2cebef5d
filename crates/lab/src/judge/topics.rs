//! The order of what was published.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use ficus_events::{Kafka, dead_letters};

const TOPICS: [&str; 3] = ["trellis.auth.v1", "trellis.core.v1", "trellis.notifications.v1"];
const PATIENCE: Duration = Duration::from_secs(20);

/// What the topics show.
#[derive(Debug, Default)]
pub struct Published {
    pub messages: usize,
    /// Messages with a lower version of their key than one before them.
    pub out_of_order: Vec<String>,
    /// By user, the versions of preferences that were published.
    pub preferences: HashMap<i64, HashSet<i64>>,
    /// Versions of a key that several events have.
    pub twice: Vec<String>,
    /// Mails that were told of as delivered.
    pub delivered: HashSet<i64>,
    /// Messages that could not be applied.
    pub dead: Vec<String>,
}

/// Reads every topic from its beginning.
pub async fn read(brokers: &str) -> Result<Published> {
    let kafka = Kafka::from(brokers);
    let mut published = Published::default();
    for topic in TOPICS {
        let messages = dead_letters::list(&kafka, Some(topic), PATIENCE)
            .await
            .with_context(|| format!("failed to read topic {topic}"))?;
        published.messages += messages.len();
        // A relay that died before it had noted what it had sent sends it again; consumers know it by its id.
        let mut known = HashSet::new();
        let versions: Vec<(String, i64)> = messages
            .into_iter()
            .filter(|message| known.insert(message.event_id.clone()))
            .map(|message| (message.key, message.version.parse().unwrap_or_default()))
            .collect();
        published.twice.extend(twice(topic, &versions));
        published.delivered.extend(versions.iter().filter_map(|(key, _)| number(key, "mail-")));
        published.out_of_order.extend(backward(topic, &versions));
        for (key, version) in &versions {
            if let Some(user) = number(key, "preferences-") {
                published.preferences.entry(user).or_default().insert(*version);
            }
        }
    }
    ensure!(published.messages > 0, "the topics are empty; nothing was published");
    let dead =
        dead_letters::list(&kafka, None, PATIENCE).await.context("failed to read dead letters")?;
    let describe =
        |letter: dead_letters::DeadLetter| format!("{}: {}", letter.origin, letter.error);
    published.dead = dead.into_iter().map(describe).collect();
    Ok(published)
}

impl Published {
    /// Changes of preferences that were never published: each version up to that of the database is an event.
    pub fn skipped(&self, preferences: &HashMap<i64, i64>) -> Vec<String> {
        let nothing = HashSet::new();
        let mut found = Vec::new();
        for (user, last) in preferences {
            let known = self.preferences.get(user).unwrap_or(&nothing);
            for version in (1..=*last).filter(|version| !known.contains(version)) {
                found.push(format!("event of preferences-{user} at version {version}"));
            }
        }
        found
    }
}

/// All messages of a key are in one partition, so their order in the topic is the order they are read in.
fn backward(topic: &str, messages: &[(String, i64)]) -> Vec<String> {
    let mut latest: HashMap<&str, i64> = HashMap::new();
    let mut found = Vec::new();
    for (key, version) in messages {
        let before = latest.entry(key).or_insert(*version);
        if version < before {
            found.push(format!("{topic}: {key} at version {version} after {before}"));
        }
        *before = *version.max(before);
    }
    found
}

/// Each event has a version of its own, drawn under its key's lock.
fn twice(topic: &str, messages: &[(String, i64)]) -> Vec<String> {
    let mut known = HashSet::new();
    let again = messages.iter().filter(|(key, version)| !known.insert((key, version)));
    again.map(|(key, version)| format!("{topic}: version {version} of {key}")).collect()
}

fn number(key: &str, prefix: &str) -> Option<i64> {
    key.strip_prefix(prefix)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Published, backward, twice};

    fn messages(of: &[(&str, i64)]) -> Vec<(String, i64)> {
        of.iter().map(|(key, version)| ((*key).to_owned(), *version)).collect()
    }

    #[test]
    fn a_version_that_goes_back_is_out_of_order() {
        let found = backward("t", &messages(&[("a", 1), ("b", 1), ("a", 2), ("a", 2), ("a", 1)]));
        assert_eq!(found, ["t: a at version 1 after 2"]);
    }

    #[test]
    fn a_version_that_two_events_have_was_doubled() {
        let found = twice("t", &messages(&[("a", 1), ("b", 1), ("a", 2), ("a", 1)]));
        assert_eq!(found, ["t: version 1 of a"]);
    }

    #[test]
    fn a_change_of_preferences_that_was_not_published_is_missed() {
        let preferences = [(1, [1, 3].into()), (2, [1].into())].into();
        let published = Published { preferences, ..Published::default() };
        let mut missed = published.skipped(&[(1, 4), (2, 1), (3, 1)].into());
        missed.sort();
        let event = |user, version| format!("event of preferences-{user} at version {version}");
        assert_eq!(missed, [event(1, 2), event(1, 4), event(3, 1)]);
    }
}
