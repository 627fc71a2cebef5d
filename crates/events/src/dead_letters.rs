//! Reads what could not be applied; needs the broker only, and joins no group.

use std::time::{Duration, Instant};

use bytes::Bytes;
use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::{Headers as _, OwnedMessage},
};

use crate::{
    Kafka,
    message::{header, text},
};

const SUFFIX: &str = ".dlq";
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

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
    /// This and the following are empty if the message did not say.
    pub event_id: String,
    pub kind: String,
    pub version: String,
    pub error: String,
    /// 0 if it was not tried, because it follows an earlier one of its key.
    pub attempts: String,
    /// Where it first stood, as `topic/partition/offset`.
    pub origin: String,
    /// Every header, those above included.
    pub headers: Vec<(String, String)>,
    pub payload: Bytes,
}

/// A failure to reach the broker or to read from it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read dead letters: {0}")]
    Kafka(#[from] KafkaError),
    #[error("failed to read dead letters: the broker did not answer in time")]
    Timeout,
    #[error("failed to read dead letters: the reading was cut off")]
    CutOff,
}

/// All dead letters of all `*.dlq` topics, or of `topic` alone, by topic, partition and offset.
pub async fn list(
    kafka: &Kafka,
    topic: Option<&str>,
    timeout: Duration,
) -> Result<Vec<DeadLetter>, Error> {
    let topic = topic.map(ToOwned::to_owned);
    blocking(kafka, timeout, move |reader| reader.list(topic.as_deref())).await
}

/// The dead letter at one place; `None` if there is none.
pub async fn show(
    kafka: &Kafka,
    topic: &str,
    partition: i32,
    offset: i64,
    timeout: Duration,
) -> Result<Option<DeadLetter>, Error> {
    let topic = topic.to_owned();
    blocking(kafka, timeout, move |reader| reader.show(&topic, partition, offset)).await
}

async fn blocking<T: Send + 'static>(
    kafka: &Kafka,
    timeout: Duration,
    read: impl FnOnce(&Reader) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let mut config = kafka.client();
    // A group is demanded of every consumer; without a subscription it is never joined.
    config
        .set("group.id", "ficus-dead-letters")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true");
    let deadline = Instant::now() + timeout;
    tokio::task::spawn_blocking(move || read(&Reader { consumer: config.create()?, deadline }))
        .await
        .map_err(|_| Error::CutOff)?
}

struct Reader {
    consumer: BaseConsumer,
    deadline: Instant,
}

impl Reader {
    fn left(&self) -> Result<Duration, Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(Error::Timeout) } else { Ok(left) }
    }

    fn list(&self, only: Option<&str>) -> Result<Vec<DeadLetter>, Error> {
        let mut letters = Vec::new();
        for (topic, partition) in self.partitions(only)? {
            let (first, end) = self.watermarks(&topic, partition)?;
            self.read(&topic, partition, first, end, &mut letters)?;
        }
        Ok(letters)
    }

    fn show(&self, topic: &str, partition: i32, offset: i64) -> Result<Option<DeadLetter>, Error> {
        if !self.partitions(Some(topic))?.contains(&(topic.to_owned(), partition)) {
            return Ok(None);
        }
        let (first, end) = self.watermarks(topic, partition)?;
        let mut letters = Vec::new();
        if (first..end).contains(&offset) {
            self.read(topic, partition, offset, offset + 1, &mut letters)?;
        }
        Ok(letters.pop())
    }

    /// Those that exist, in order. Asks for all topics, since asking for one by name would create it.
    fn partitions(&self, only: Option<&str>) -> Result<Vec<(String, i32)>, Error> {
        let metadata = self.consumer.fetch_metadata(None, self.left()?)?;
        let wanted = metadata.topics().iter().filter(|topic| match only {
            Some(name) => topic.name() == name,
            None => topic.name().ends_with(SUFFIX),
        });
        let mut partitions: Vec<_> = wanted
            .flat_map(|topic| topic.partitions().iter().map(|p| (topic.name().to_owned(), p.id())))
            .collect();
        partitions.sort();
        Ok(partitions)
    }

    /// The first offset and the one after the last. A partition that was just made has no leader yet.
    fn watermarks(&self, topic: &str, partition: i32) -> Result<(i64, i64), Error> {
        loop {
            match self.consumer.fetch_watermarks(topic, partition, self.left()?) {
                Err(error) if is_new_partition(&error) => std::thread::sleep(BETWEEN_TRIES),
                other => return Ok(other?),
            }
        }
    }

    /// Reads the offsets from `first` to before `end`; some of them may be empty.
    fn read(
        &self,
        topic: &str,
        partition: i32,
        first: i64,
        end: i64,
        letters: &mut Vec<DeadLetter>,
    ) -> Result<(), Error> {
        let mut place = TopicPartitionList::new();
        place.add_partition_offset(topic, partition, Offset::Offset(first))?;
        self.consumer.assign(&place)?;
        let mut next = first;
        while next < end {
            let message = match self.consumer.poll(self.left()?).ok_or(Error::Timeout)? {
                Ok(message) => message.detach(),
                Err(KafkaError::PartitionEOF(_)) => break,
                Err(error) => return Err(error.into()),
            };
            next = message.offset() + 1;
            if message.offset() < end {
                letters.push(DeadLetter::from(message));
            }
        }
        Ok(())
    }
}

fn is_new_partition(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::NotLeaderForPartition | Code::LeaderNotAvailable | Code::UnknownTopicOrPartition
        )
    )
}

impl From<OwnedMessage> for DeadLetter {
    fn from(message: OwnedMessage) -> Self {
        let said = |name| text(&message, name).unwrap_or_default();
        let origin = [header::ORIGIN_TOPIC, header::ORIGIN_PARTITION, header::ORIGIN_OFFSET];
        Self {
            event_id: said(header::ID),
            kind: said(header::TYPE),
            version: said(header::SEQUENCE),
            error: said(header::ERROR),
            attempts: said(header::ATTEMPTS),
            origin: origin.map(said).join("/"),
            headers: headers(&message),
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned(),
            payload: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        }
    }
}

fn headers(message: &OwnedMessage) -> Vec<(String, String)> {
    let all = message.headers().into_iter().flat_map(|headers| headers.iter());
    all.map(|header| {
        let value = String::from_utf8_lossy(header.value.unwrap_or_default());
        (header.key.to_owned(), value.into_owned())
    })
    .collect()
}
