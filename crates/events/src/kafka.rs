//! The broker: where it is, topics, and the producer that both the relay and the dead letters use.

use std::{collections::HashSet, time::Duration};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _, PurgeConfig},
};

const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

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

/// A failure to publish.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("the broker refused: {0}")]
    Kafka(#[from] KafkaError),
    #[error("failed to create topic {topic}: {code}")]
    Topic { topic: String, code: RDKafkaErrorCode },
    #[error("the broker did not answer in time")]
    Timeout,
    #[error("the producer was dropped")]
    Dropped,
}

impl Kafka {
    /// Creates those `topics` that do not exist.
    pub(crate) async fn create_topics(&self, topics: &[String]) -> Result<(), Error> {
        let (kafka, topics) = (self.clone(), topics.to_vec());
        // The admin client waits for its own thread when it is dropped.
        tokio::task::spawn_blocking(move || kafka.create_topics_blocking(&topics))
            .await
            .unwrap_or(Err(Error::Dropped))
    }

    fn create_topics_blocking(&self, topics: &[String]) -> Result<(), Error> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let wanted: Vec<NewTopic> = topics.iter().map(|name| self.new_topic(name)).collect();
        let options = AdminOptions::new()
            .request_timeout(Some(ADMIN_TIMEOUT))
            .operation_timeout(Some(ADMIN_TIMEOUT));
        for result in futures::executor::block_on(admin.create_topics(&wanted, &options))? {
            match result {
                Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((topic, code)) => return Err(Error::Topic { topic, code }),
            }
        }
        Ok(())
    }

    fn new_topic<'a>(&self, name: &'a str) -> NewTopic<'a> {
        NewTopic::new(name, self.partitions, TopicReplication::Fixed(self.replication))
    }

    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("reconnect.backoff.max.ms", "1000")
            .set("statistics.interval.ms", "0");
        config
    }
}

/// A producer that never gives a message up by itself, since librdkafka keeps no order after a local
/// time-out. Whoever meets an error drops it and begins again from what is known to have arrived.
pub(crate) struct Producer {
    kafka: Kafka,
    topics: HashSet<String>,
    inner: Option<FutureProducer>,
}

impl Producer {
    pub fn connect(kafka: &Kafka) -> Result<Self, Error> {
        let inner = kafka
            .client()
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "1")
            .set("partitioner", "murmur2_random")
            .create()?;
        Ok(Self { kafka: kafka.clone(), topics: HashSet::new(), inner: Some(inner) })
    }

    /// Creates the topic if it does not exist; asks the broker once.
    pub async fn ensure_topic(&mut self, topic: &str) -> Result<(), Error> {
        if !self.topics.contains(topic) {
            self.kafka.create_topics(&[topic.to_owned()]).await?;
            self.topics.insert(topic.to_owned());
        }
        Ok(())
    }

    /// Queues a message behind those queued before; the answer is its delivery report.
    pub fn queue(&self, record: FutureRecord<'_, [u8], [u8]>) -> Result<DeliveryFuture, Error> {
        let inner = self.inner.as_ref().ok_or(Error::Dropped)?;
        inner.send_result(record).map_err(|(error, _)| error.into())
    }
}

/// Waits until the broker has the message.
pub(crate) async fn delivered(report: DeliveryFuture) -> Result<(), Error> {
    match report.await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err((error, _))) => Err(error.into()),
        Err(_) => Err(Error::Dropped),
    }
}

impl Drop for Producer {
    /// What is queued does not leave any more; the rest takes a while and must not block the runtime.
    fn drop(&mut self) {
        if let Some(inner) = self.inner.take() {
            inner.purge(PurgeConfig::default().queue().inflight());
            tokio::task::spawn_blocking(move || drop(inner));
        }
    }
}
