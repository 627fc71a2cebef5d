//! Reads topics from the broker without joining a group.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use rdkafka::{
    Message as _, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer as _},
    error::{KafkaError, RDKafkaErrorCode},
    message::OwnedMessage,
};

use super::{
    Error, Letter, Open,
    ask::{Answer, Note, Outcome},
    fold::fold,
};
use crate::Kafka;

/// A topic and a partition of it.
type Partition = (String, i32);

const SUFFIX: &str = ".dlq";
const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// Gives `read` a reader, and `timeout` in all.
pub async fn blocking<T: Send + 'static>(
    kafka: &Kafka,
    timeout: Duration,
    read: impl FnOnce(&Reader) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let mut config = kafka.client();
    // A group is demanded of every consumer; without a subscription it is never joined.
    config
        .set("group.id", "ficus-dead-letters")
        .set("enable.auto.commit", "false")
        // A partition has to wait until the broker has answered for the one before it.
        .set("fetch.wait.max.ms", "20")
        .set("enable.partition.eof", "true");
    let deadline = Instant::now() + timeout;
    tokio::task::spawn_blocking(move || read(&Reader { consumer: config.create()?, deadline }))
        .await
        .map_err(|_| Error::CutOff)?
}

pub struct Reader {
    consumer: BaseConsumer,
    deadline: Instant,
}

impl Reader {
    fn left(&self) -> Result<Duration, Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(Error::Timeout) } else { Ok(left) }
    }

    /// What is open in each partition of every `*.dlq` topic, or of one topic.
    pub fn list(&self, only: Option<&str>) -> Result<Vec<Open>, Error> {
        let partitions = self.partitions(only)?;
        partitions.iter().map(|(topic, partition)| self.open(topic, *partition, 0)).collect()
    }

    /// The letter there, if it is open.
    pub fn show(&self, topic: &str, partition: i32, offset: i64) -> Result<Option<Letter>, Error> {
        if !self.partitions(Some(topic))?.contains(&(topic.to_owned(), partition)) {
            return Ok(None);
        }
        let found = self.open(topic, partition, offset)?.letters.into_iter().next();
        Ok(found.filter(|letter| letter.message.offset() == offset))
    }

    /// What is open from an offset on.
    pub fn open(&self, topic: &str, partition: i32, from: i64) -> Result<Open, Error> {
        let (first, end) = self.watermarks(topic, partition)?;
        let mut messages = Vec::new();
        if from < end {
            self.read(topic, partition, from.max(first), end, &mut messages)?;
        }
        Ok(fold(messages))
    }

    /// Where the next message of each will stand.
    pub fn ends(&self, places: BTreeSet<Partition>) -> Result<BTreeMap<Partition, i64>, Error> {
        let end = |place: Partition| Ok((place.clone(), self.watermarks(&place.0, place.1)?.1));
        places.into_iter().map(end).collect()
    }

    /// Tells `heard` what consumers say of the requests `ids`, reading from these offsets on, until all are done.
    pub fn answers(
        &self,
        from: &BTreeMap<Partition, i64>,
        mut ids: BTreeSet<String>,
        patience: Duration,
        mut heard: impl FnMut(Answer),
    ) -> Result<(), Error> {
        let mut places = TopicPartitionList::new();
        for ((topic, partition), offset) in from {
            places.add_partition_offset(topic, *partition, Offset::Offset(*offset))?;
        }
        self.consumer.assign(&places)?;
        let mut deadline = Instant::now() + patience;
        while !ids.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let message = match self.consumer.poll(left).ok_or(Error::Unanswered)? {
                Ok(message) => message.detach(),
                Err(KafkaError::PartitionEOF(_)) => continue,
                Err(error) => return Err(error.into()),
            };
            let Some(note) = Note::read(&message).filter(|note| ids.contains(&note.command_id))
            else {
                continue;
            };
            deadline = Instant::now() + patience;
            if note.outcome == Outcome::Done {
                ids.remove(&note.command_id);
            } else {
                heard(answer(&message, note));
            }
        }
        Ok(())
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
        messages: &mut Vec<OwnedMessage>,
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
                messages.push(message);
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

fn answer(message: &OwnedMessage, note: Note) -> Answer {
    let place = |offset| format!("{}/{}/{offset}", message.topic(), message.partition());
    Answer {
        place: note.letter.map(place),
        outcome: note.outcome,
        reason: note.reason,
        attempts: note.attempts,
    }
}
