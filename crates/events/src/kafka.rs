//! Where the broker is, and how topics are made there.

/// The broker to publish to and read from. Converts from `"host:port,…"`.
#[derive(Clone, Debug)]
pub struct Kafka {
    /// `host:port`, separated by commas.
    pub brokers: String,
    /// Partitions of a topic that is created; one that exists is left as it is.
    pub partitions: i32,
    /// Replicas of each partition of a topic that is created.
    pub replication: i32,
}

impl<T: Into<String>> From<T> for Kafka {
    fn from(brokers: T) -> Self {
        Self { brokers: brokers.into(), partitions: 4, replication: 1 }
    }
}
