//! The floor of the relay: librdkafka's producer by itself, from memory, with the relay's promises.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use tokio::sync::Notify;

const PATIENCE: Duration = Duration::from_secs(30);

/// Counts what the broker has acknowledged.
#[derive(Default, Clone)]
struct Count {
    acknowledged: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
    /// One or more were counted.
    counted: Arc<Notify>,
}

impl ClientContext for Count {}

impl ProducerContext for Count {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counter = if result.is_ok() { &self.acknowledged } else { &self.refused };
        counter.fetch_add(1, Ordering::Relaxed);
        self.counted.notify_one();
    }
}

/// A producer that is connected.
pub struct Raw {
    count: Count,
    producer: ThreadedProducer<Count>,
}

impl Raw {
    pub fn connect(brokers: &str) -> Result<Self> {
        let count = Count::default();
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", "1")
            .set("partitioner", "murmur2_random")
            .create_with_context(count.clone())?;
        Ok(Self { count, producer })
    }

    /// Sends a message to each of `keys` and waits until the broker has all of them.
    pub async fn send(&self, topic: &str, keys: &[String], payload: &[u8]) -> Result<Duration> {
        let begun = Instant::now();
        let wanted = self.count.acknowledged.load(Ordering::Relaxed) + keys.len();
        for key in keys {
            let mut record =
                BaseRecord::to(topic).key(key.as_str()).payload(payload).headers(headers());
            while let Err((error, again)) = self.producer.send(record) {
                let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                ensure!(error == full, "the producer refused: {error}");
                tokio::time::sleep(Duration::from_millis(1)).await;
                record = again;
            }
        }
        while self.count.acknowledged.load(Ordering::Relaxed) < wanted {
            let refused = self.count.refused.load(Ordering::Relaxed);
            ensure!(refused == 0, "the broker refused {refused} messages");
            let counted = tokio::time::timeout(PATIENCE, self.count.counted.notified());
            counted.await.context("the broker does not acknowledge")?;
        }
        Ok(begun.elapsed())
    }
}

/// As many bytes as the relay's.
fn headers() -> OwnedHeaders {
    let headers = [
        ("ce_specversion", "1.0"),
        ("ce_id", "01936b5c-1f1e-7c3a-b7d0-3f0a4c6e9d21"),
        ("ce_source", "bench"),
        ("ce_type", "trellis.events.v1.Bench"),
        ("ce_sequence", "1"),
        ("content-type", "application/protobuf"),
    ];
    headers.into_iter().fold(OwnedHeaders::new(), |all, (key, value)| {
        all.insert(Header { key, value: Some(value) })
    })
}
