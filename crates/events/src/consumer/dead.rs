//! Writes dead letters.

use std::time::Duration;

use rdkafka::{
    Message as _,
    message::{Header, OwnedHeaders, OwnedMessage},
    producer::FutureRecord,
};

use super::ConsumerConfig;
use crate::{
    kafka::{Error, Producer, delivered},
    message::header,
};

const PATIENCE: Duration = Duration::from_secs(5);

/// Copies messages to the dead letters' topics.
pub struct DeadLetters<'a> {
    config: &'a ConsumerConfig,
    /// Made at the first message and dropped at an error.
    producer: Option<Producer>,
}

impl<'a> DeadLetters<'a> {
    pub fn new(config: &'a ConsumerConfig) -> Self {
        Self { config, producer: None }
    }

    /// Returns when the broker has it. Repeated after a crash, so one message can lie there twice.
    pub async fn send(
        &mut self,
        message: &OwnedMessage,
        reason: &str,
        attempts: u32,
    ) -> Result<(), Error> {
        let sending = tokio::time::timeout(PATIENCE, self.try_send(message, reason, attempts));
        let sent = sending.await.unwrap_or(Err(Error::Timeout));
        if sent.is_err() {
            self.producer = None;
        }
        sent
    }

    async fn try_send(
        &mut self,
        message: &OwnedMessage,
        reason: &str,
        attempts: u32,
    ) -> Result<(), Error> {
        let producer = match &mut self.producer {
            Some(producer) => producer,
            none => none.insert(Producer::connect(&self.config.kafka)?),
        };
        let topic = self.config.dead_letter_topic(message.topic());
        producer.ensure_topic(&topic).await?;
        let record = FutureRecord::to(&topic)
            .key(message.key().unwrap_or_default())
            .payload(message.payload().unwrap_or_default())
            .headers(headers(message, reason, attempts));
        delivered(producer.queue(record)?).await
    }
}

/// The message's own headers and what became of it.
fn headers(message: &OwnedMessage, reason: &str, attempts: u32) -> OwnedHeaders {
    let own = message.headers().cloned().unwrap_or_else(OwnedHeaders::new);
    let added = [
        (header::ERROR, reason.to_owned()),
        (header::ATTEMPTS, attempts.to_string()),
        (header::ORIGIN_TOPIC, message.topic().to_owned()),
        (header::ORIGIN_PARTITION, message.partition().to_string()),
        (header::ORIGIN_OFFSET, message.offset().to_string()),
    ];
    added.iter().fold(own, |all, (key, value)| all.insert(Header { key, value: Some(value) }))
}
