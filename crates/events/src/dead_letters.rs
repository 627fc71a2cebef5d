//! Reads what could not be applied; needs the broker only.

use std::time::Duration;

use bytes::Bytes;

use crate::Kafka;

/// One message of a `*.dlq` topic.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// The dead letters' topic, and the place there.
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970, as the broker keeps it.
    pub timestamp_ms: Option<i64>,
    pub key: String,
    /// Empty if the message had none.
    pub event_id: String,
    pub kind: String,
    pub version: String,
    pub error: String,
    pub attempts: String,
    /// Where it first stood, as `topic/partition/offset`.
    pub origin: String,
    /// Every header, those above included.
    pub headers: Vec<(String, String)>,
    pub payload: Bytes,
}

/// A failure to reach the broker or to read from it.
#[derive(Debug, thiserror::Error)]
#[error("failed to read dead letters: {0}")]
pub struct Error(String);

/// All dead letters of all `*.dlq` topics, or of `topic` alone, by topic, partition and offset.
pub async fn list(
    kafka: &Kafka,
    topic: Option<&str>,
    timeout: Duration,
) -> Result<Vec<DeadLetter>, Error> {
    let _ = (kafka, topic, timeout);
    Err(Error(String::new()))
}

/// The dead letter at one place; `None` if there is none.
pub async fn show(
    kafka: &Kafka,
    topic: &str,
    partition: i32,
    offset: i64,
    timeout: Duration,
) -> Result<Option<DeadLetter>, Error> {
    let _ = (kafka, topic, partition, offset, timeout);
    Err(Error(String::new()))
}
