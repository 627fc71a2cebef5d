//! Applies a capability's events while this process's side owns it.

mod handler;

use std::sync::Arc;

use ficus_owners::{Owners, Side};
use ficus_process::Shutdown;

pub use handler::{ApplyError, Handler};

use crate::Kafka;

/// Where a consumer reads.
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
}

/// Reads topics and hands what is new to a [`Handler`], in order for each key.
pub struct Consumer {
    _owners: Owners,
}

impl Consumer {
    /// Works only while `side` owns `capability`.
    pub fn new(
        config: ConsumerConfig,
        owners: Owners,
        capability: impl Into<String>,
        side: Side,
        handler: Arc<dyn Handler>,
    ) -> Self {
        let _ = (config, owners, capability.into(), side, handler);
        todo!()
    }

    /// Runs until shutdown is requested; errors are logged and tried again.
    pub async fn run(self, shutdown: Shutdown) {
        let _ = shutdown;
        todo!()
    }
}
