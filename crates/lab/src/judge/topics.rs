//! The order of what was published.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result};
use ficus_events::{Kafka, dead_letters};

const TOPICS: [&str; 3] = ["trellis.auth.v1", "trellis.core.v1", "trellis.notifications.v1"];
const PATIENCE: Duration = Duration::from_secs(20);

/// What the topics show.
#[derive(Debug, Default)]
pub struct Published {
    pub messages: usize,
    /// Messages with a lower version of their key than one before them.
    pub out_of_order: Vec<String>,
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
        let versions = messages.into_iter().map(|message| (message.key, message.version));
        published.out_of_order.extend(backward(topic, versions));
    }
    let dead =
        dead_letters::list(&kafka, None, PATIENCE).await.context("failed to read dead letters")?;
    let describe =
        |letter: dead_letters::DeadLetter| format!("{}: {}", letter.origin, letter.error);
    published.dead = dead.into_iter().map(describe).collect();
    Ok(published)
}

/// All messages of a key are in one partition, so their order in the topic is the order they are read in.
fn backward(topic: &str, messages: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let mut latest: HashMap<String, i64> = HashMap::new();
    let mut found = Vec::new();
    for (key, version) in messages {
        let version: i64 = version.parse().unwrap_or_default();
        let before = latest.entry(key.clone()).or_insert(version);
        if version < *before {
            found.push(format!("{topic}: {key} at version {version} after {before}"));
        }
        *before = version.max(*before);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::backward;

    #[test]
    fn a_version_that_goes_back_is_out_of_order() {
        let messages = [("a", "1"), ("b", "1"), ("a", "2"), ("a", "2"), ("a", "1")];
        let messages = messages.map(|(key, version)| (key.to_owned(), version.to_owned()));
        let found = backward("t", messages.into_iter());
        assert_eq!(found, ["t: a at version 1 after 2"]);
    }
}
