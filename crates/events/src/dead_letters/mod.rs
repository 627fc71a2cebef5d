//! What could not be applied, and putting it back.
//!
//! A letter lies in `<topic>.dlq`, in the partition of its key. [`redrive`] writes a request behind the letters,
//! and the consumer of the owner, which alone has the handler, the inbox and the parked keys, carries it out;
//! what came of each letter is written behind it too. So all that is known of dead letters is in that one
//! partition, in order: who reads it from the start knows which are still open. Listing and asking need the
//! broker only, and join no group.
//!
//! **Invariant.** A key's events are applied in the order of their versions and each once, whatever dies or is
//! repeated, because
//!
//! 1. a letter is applied in one transaction with its row in the inbox, as any event is: one that was applied,
//!    before it died or by an earlier redrive, is settled and has no effect;
//! 2. of a key, letters are taken in their order, and none after one that fails;
//! 3. later events of a parked key follow it into the dead letters. Before such a letter is written, its
//!    id is put into the parked key's row; the key is freed only if that id is of a letter that is settled
//!    ([`Handler::unpark`](crate::Handler::unpark)). So an event that follows either is redriven first, or finds
//!    its key free;
//! 4. a request counts as heard only when all of it is done. One that is cut off, by a crash or because the
//!    capability moved, is heard again, by whoever owns the capability then.
//!
//! A refusal by the fence is no failure of a letter: the request waits, and goes on at the new owner, to whom
//! inbox and parked keys have moved. What was no event when it came (`unreadable`) held nothing back:
//! later events of its key have been applied, so it is never applied late, only discarded.

mod ask;
mod fold;
mod reader;

use std::time::Duration;

use bytes::Bytes;
use rdkafka::{
    Message as _,
    error::KafkaError,
    message::{Headers as _, OwnedMessage},
};

pub use ask::{Action, Answer, Outcome, Scope, redrive};
pub(crate) use ask::{Command, Note};
pub(crate) use fold::{Letter, Open};

use crate::{
    Kafka, kafka,
    message::{header, text},
};

/// Why a message is among the dead letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It could not be applied. Its key is parked.
    Failed,
    /// An earlier event of its key could not be applied.
    Behind,
    /// It is no event. No key is parked for it.
    Unreadable,
}

impl Cause {
    /// As it stands in a letter's headers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Behind => "behind",
            Self::Unreadable => "unreadable",
        }
    }
}

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
    /// The consumer group that could not apply it. This and the following are empty if the message did
    /// not say.
    pub group: String,
    /// A [`Cause`].
    pub cause: String,
    pub event_id: String,
    pub kind: String,
    pub version: String,
    /// Of the latest attempt.
    pub error: String,
    /// In all; 0 if it was not tried, because it follows an earlier one of its key.
    pub attempts: String,
    /// Where it first stood, as `topic/partition/offset`.
    pub origin: String,
    /// Every header, those above as they were when it died.
    pub headers: Vec<(String, String)>,
    pub payload: Bytes,
}

impl DeadLetter {
    /// `topic/partition/offset`.
    pub fn place(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }

    /// Whether a redrive can ever apply it.
    pub fn is_event(&self) -> bool {
        self.cause != Cause::Unreadable.as_str()
    }
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
    #[error("failed to ask for a redrive: {0}")]
    Asking(String),
    /// The requests are written, and will be carried out when their consumers run.
    #[error("no consumer has answered")]
    Unanswered,
}

impl From<kafka::Error> for Error {
    fn from(error: kafka::Error) -> Self {
        Self::Asking(error.to_string())
    }
}

/// All dead letters of all `*.dlq` topics that are neither applied since nor discarded, or the messages of
/// `topic` alone, by topic, partition and offset. Of a letter that was written twice, the first.
pub async fn list(
    kafka: &Kafka,
    topic: Option<&str>,
    timeout: Duration,
) -> Result<Vec<DeadLetter>, Error> {
    let topic = topic.map(ToOwned::to_owned);
    let open =
        reader::blocking(kafka, timeout, move |reader| reader.list(topic.as_deref())).await?;
    Ok(open.into_iter().flat_map(|open| open.letters).map(DeadLetter::from).collect())
}

/// The dead letter at one place; `None` if there is none, or none any more.
pub async fn show(
    kafka: &Kafka,
    topic: &str,
    partition: i32,
    offset: i64,
    timeout: Duration,
) -> Result<Option<DeadLetter>, Error> {
    let topic = topic.to_owned();
    let found =
        reader::blocking(kafka, timeout, move |reader| reader.show(&topic, partition, offset));
    Ok(found.await?.map(DeadLetter::from))
}

/// What is open in one partition.
pub(crate) async fn open(
    kafka: &Kafka,
    topic: &str,
    partition: i32,
    timeout: Duration,
) -> Result<Open, Error> {
    let topic = topic.to_owned();
    reader::blocking(kafka, timeout, move |reader| reader.open(&topic, partition, 0)).await
}

impl From<Letter> for DeadLetter {
    fn from(letter: Letter) -> Self {
        let Letter { message, error, attempts } = letter;
        let said = |name| text(&message, name).unwrap_or_default();
        let origin = [header::ORIGIN_TOPIC, header::ORIGIN_PARTITION, header::ORIGIN_OFFSET];
        Self {
            group: said(header::GROUP),
            cause: said(header::CAUSE),
            event_id: said(header::ID),
            kind: said(header::TYPE),
            version: said(header::SEQUENCE),
            error,
            attempts,
            origin: origin.map(said).join("/"),
            headers: headers(&message),
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            key: key(&message),
            payload: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
        }
    }
}

fn key(message: &OwnedMessage) -> String {
    String::from_utf8_lossy(message.key().unwrap_or_default()).into_owned()
}

fn headers(message: &OwnedMessage) -> Vec<(String, String)> {
    let all = message.headers().into_iter().flat_map(|headers| headers.iter());
    all.map(|header| {
        let value = String::from_utf8_lossy(header.value.unwrap_or_default());
        (header.key.to_owned(), value.into_owned())
    })
    .collect()
}
