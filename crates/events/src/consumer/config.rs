//! Where a consumer reads.

use crate::Kafka;

/// Where a consumer reads, and under what name.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    pub kafka: Kafka,
    /// One per capability, the same on both sides.
    pub group: String,
    /// `<capability>-<n>`, the same on both sides, so that a new owner takes the partitions over at
    /// once.
    pub instance_id: String,
    pub topics: Vec<String>,
    /// Appended to a topic's name for its dead letters.
    pub dead_letter_suffix: String,
}

impl ConsumerConfig {
    /// Dead letters go to `<topic>.dlq`.
    pub fn new(
        kafka: impl Into<Kafka>,
        group: impl Into<String>,
        instance_id: impl Into<String>,
        topics: &[&str],
    ) -> Self {
        Self {
            kafka: kafka.into(),
            group: group.into(),
            instance_id: instance_id.into(),
            topics: topics.iter().map(ToString::to_string).collect(),
            dead_letter_suffix: ".dlq".into(),
        }
    }

    pub(crate) fn dead_letter_topic(&self, topic: &str) -> String {
        format!("{topic}{}", self.dead_letter_suffix)
    }

    /// Where requests about dead letters are read, in a group of their own.
    pub(crate) fn of_requests(&self) -> Self {
        let topics = self.topics.iter().map(|topic| self.dead_letter_topic(topic)).collect();
        Self { group: format!("{}.redrive", self.group), topics, ..self.clone() }
    }

    /// The topics that are read and those of their dead letters.
    pub(crate) fn all_topics(&self) -> Vec<String> {
        let dead = self.topics.iter().map(|topic| self.dead_letter_topic(topic));
        self.topics.iter().cloned().chain(dead).collect()
    }
}
