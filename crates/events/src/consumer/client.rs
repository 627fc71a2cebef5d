//! A member of the group.

use std::{collections::BTreeMap, sync::Arc};

use futures::FutureExt as _;
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer as _, StreamConsumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedMessage,
};

use super::ConsumerConfig;
use crate::Event;

/// Their one transaction holds tables that a fence waits for, so it is kept short.
const MAX_BATCH: usize = 100;

/// A message, and the event in it if it is one.
pub struct Received {
    pub message: OwnedMessage,
    pub event: Result<Event, String>,
}

/// A static member: it leaves without a word, and who joins under its name has its partitions at once.
pub struct Client(Option<Arc<StreamConsumer>>);

/// Why a membership ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another joined under the same name.
    #[error("another member has this one's name")]
    Replaced,
    #[error("the partitions were given to another member")]
    AssignmentLost,
    #[error(transparent)]
    Kafka(KafkaError),
    #[error("a blocking task was cut off")]
    CutOff,
}

impl From<KafkaError> for Error {
    fn from(error: KafkaError) -> Self {
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::FencedInstanceId) => Self::Replaced,
            _ => Self::Kafka(error),
        }
    }
}

impl Client {
    /// Subscribes; partitions come with the first call of [`Self::receive`].
    ///
    /// A session that ran out while the broker was away can be answered as if another had this member's name: librdkafka
    /// forgets its member id and asks once more under its instance's.
    pub fn join(config: &ConsumerConfig) -> Result<Self, Error> {
        let consumer: StreamConsumer = config
            .kafka
            .client()
            .set("group.id", &config.group)
            .set("group.instance.id", &config.instance_id)
            .set("session.timeout.ms", "10000")
            .set("heartbeat.interval.ms", "1000")
            .set("enable.auto.commit", "false")
            .set("auto.offset.reset", "earliest")
            .set("partition.assignment.strategy", "range")
            .set("allow.auto.create.topics", "false")
            .create()?;
        let topics: Vec<&str> = config.topics.iter().map(String::as_str).collect();
        consumer.subscribe(&topics)?;
        Ok(Self(Some(Arc::new(consumer))))
    }

    /// For what this does not do.
    pub fn consumer(&self) -> &Arc<StreamConsumer> {
        self.0.as_ref().expect("a client has its consumer until it is dropped")
    }

    /// Waits for a message and takes what is there with it. After an error the client has to be dropped:
    /// what it had received is lost to it.
    pub async fn receive(&self) -> Result<Vec<Received>, Error> {
        let consumer = self.consumer();
        let mut batch = Vec::new();
        loop {
            let next = if batch.is_empty() {
                consumer.recv().await
            } else {
                match consumer.recv().now_or_never() {
                    Some(next) => next,
                    None => return Ok(batch),
                }
            };
            match next {
                Ok(message) => batch.push(received(message.detach())),
                Err(error) if is_passing(&error) => tracing::debug!(%error, "the broker is away"),
                Err(error) => return Err(self.reason(error)),
            }
            if batch.len() == MAX_BATCH {
                return Ok(batch);
            }
        }
    }

    /// `error`, unless another has joined under this member's name: that is kept as the client's fatal
    /// error, and everything fails after it, with errors that do not say so.
    fn reason(&self, error: impl Into<Error>) -> Error {
        match self.consumer().client().fatal_error() {
            Some((RDKafkaErrorCode::FencedInstanceId, _)) => Error::Replaced,
            _ => error.into(),
        }
    }

    /// The batch need not come again. Offsets of partitions that are another's now are refused.
    pub async fn commit(&self, batch: &[Received]) -> Result<(), Error> {
        if self.consumer().assignment_lost() {
            return Err(self.reason(Error::AssignmentLost));
        }
        let offsets = next_offsets(batch)?;
        let consumer = Arc::clone(self.consumer());
        tokio::task::spawn_blocking(move || consumer.commit(&offsets, CommitMode::Sync))
            .await
            .map_err(|_| Error::CutOff)?
            .map_err(|error| self.reason(error))
    }
}

impl Drop for Client {
    /// Closing waits for the broker.
    fn drop(&mut self) {
        if let Some(consumer) = self.0.take() {
            tokio::task::spawn_blocking(move || drop(consumer));
        }
    }
}

fn received(message: OwnedMessage) -> Received {
    Received { event: Event::read(&message, message.topic()), message }
}

fn next_offsets(batch: &[Received]) -> Result<TopicPartitionList, KafkaError> {
    let mut next = BTreeMap::new();
    for Received { message, .. } in batch {
        next.insert((message.topic(), message.partition()), message.offset() + 1);
    }
    let mut offsets = TopicPartitionList::new();
    for ((topic, partition), offset) in next {
        offsets.add_partition_offset(topic, partition, Offset::Offset(offset))?;
    }
    Ok(offsets)
}

/// The client goes on by itself after these.
fn is_passing(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::AllBrokersDown
                | Code::BrokerTransportFailure
                | Code::Resolve
                | Code::OperationTimedOut
                | Code::CoordinatorNotAvailable
                | Code::CoordinatorLoadInProgress
                | Code::NotCoordinator
                | Code::UnknownTopicOrPartition
        )
    )
}
