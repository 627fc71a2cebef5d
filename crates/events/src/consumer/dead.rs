//! Writes dead letters, and what became of them.

use std::time::Duration;

use rdkafka::{
    Message as _,
    error::RDKafkaErrorCode,
    message::{Header, Headers as _, OwnedHeaders, OwnedMessage},
    producer::FutureRecord,
};

use super::ConsumerConfig;
use crate::{
    dead_letters::{Cause, Command, Letter, Note},
    kafka::{Error, Producer, delivered},
    message::{header, legible},
};

const PATIENCE: Duration = Duration::from_secs(5);

/// Copies messages to the dead letters' topics.
pub struct DeadLetters<'a> {
    config: &'a ConsumerConfig,
    /// Made at the first message and dropped at an error.
    producer: Option<Producer>,
}

/// How much of a message is copied, since the copy has headers of its own and must fit as well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Whole,
    WithoutPayload,
    /// Neither key, payload nor headers: where it stood and why it died.
    Origin,
}

impl<'a> DeadLetters<'a> {
    pub fn new(config: &'a ConsumerConfig) -> Self {
        Self { config, producer: None }
    }

    /// Returns when the broker has it. Repeated after a crash, so one message can lie there twice.
    pub async fn send(
        &mut self,
        message: &OwnedMessage,
        cause: Cause,
        reason: &str,
        attempts: u32,
    ) -> Result<(), Error> {
        let topic = self.config.dead_letter_topic(message.topic());
        for part in [Part::Whole, Part::WithoutPayload, Part::Origin] {
            let about = [
                (header::GROUP, self.config.group.clone()),
                (header::CAUSE, cause.as_str().to_owned()),
                (header::ERROR, legible(reason)),
                (header::ATTEMPTS, attempts.to_string()),
            ];
            let record = record(&topic, message, part).headers(headers(message, part, about));
            match self.write(&topic, record).await {
                Err(error) if is_too_large(&error) && part != Part::Origin => {}
                other => return other,
            }
        }
        Ok(())
    }

    /// Writes into the request's partition what became of it, or of the letter.
    pub async fn note(
        &mut self,
        command: &Command,
        letter: Option<&Letter>,
        note: &Note,
    ) -> Result<(), Error> {
        let said = |name| letter.map(|letter| letter.said(name)).filter(|value| !value.is_empty());
        let headers = [
            (header::OUTCOME, Some(note.outcome.as_str().to_owned())),
            (header::COMMAND_ID, Some(note.command_id.clone())),
            (header::GROUP, Some(command.group.clone())),
            (header::LETTER, note.letter.map(|offset| offset.to_string())),
            (header::ID, said(header::ID)),
            (header::ORIGIN_TOPIC, said(header::ORIGIN_TOPIC)),
            (header::ERROR, Some(legible(&note.reason))),
            (header::ATTEMPTS, Some(note.attempts.to_string())),
        ];
        let headers = headers.into_iter().filter_map(|(key, value)| Some((key, value?)));
        let record: FutureRecord<[u8], [u8]> = FutureRecord::to(&command.topic)
            .partition(command.partition)
            .headers(headers.fold(OwnedHeaders::new(), insert));
        let record = match letter.and_then(|letter| letter.message.key()) {
            Some(key) => record.key(key),
            None => record,
        };
        self.write(&command.topic, record).await
    }

    async fn write(
        &mut self,
        topic: &str,
        record: FutureRecord<'_, [u8], [u8]>,
    ) -> Result<(), Error> {
        let sending = tokio::time::timeout(PATIENCE, self.try_write(topic, record));
        let sent = sending.await.unwrap_or(Err(Error::Timeout));
        if sent.is_err() {
            self.producer = None;
        }
        sent
    }

    async fn try_write(
        &mut self,
        topic: &str,
        record: FutureRecord<'_, [u8], [u8]>,
    ) -> Result<(), Error> {
        let producer = match &mut self.producer {
            Some(producer) => producer,
            none => none.insert(Producer::connect(&self.config.kafka)?),
        };
        producer.ensure_topic(topic).await?;
        delivered(producer.queue(record)?).await
    }
}

fn is_too_large(error: &Error) -> bool {
    matches!(
        error,
        Error::Kafka(error) if matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize)
        )
    )
}

/// A key and a payload that are not there are not there in the copy.
fn record<'a>(
    topic: &'a str,
    message: &'a OwnedMessage,
    part: Part,
) -> FutureRecord<'a, [u8], [u8]> {
    let mut record = FutureRecord::to(topic);
    record.key = message.key().filter(|_| part != Part::Origin);
    record.payload = message.payload().filter(|_| part == Part::Whole);
    record
}

/// The message's own headers, without what only the dead letters may say, and what became of it.
fn headers(message: &OwnedMessage, part: Part, about: [(&str, String); 4]) -> OwnedHeaders {
    let own = message.headers().filter(|_| part != Part::Origin);
    let own = own.into_iter().flat_map(|headers| headers.iter());
    let own = own
        .filter(|own| !own.key.starts_with(header::OF_DEAD_LETTERS))
        .fold(OwnedHeaders::new(), |all, own| all.insert(own));
    let omitted = message.payload().filter(|_| part != Part::Whole).map(<[u8]>::len);
    let origin = [
        (header::ORIGIN_TOPIC, message.topic().to_owned()),
        (header::ORIGIN_PARTITION, message.partition().to_string()),
        (header::ORIGIN_OFFSET, message.offset().to_string()),
    ];
    let omitted = omitted.map(|bytes| (header::OMITTED, bytes.to_string()));
    about.into_iter().chain(origin).chain(omitted).fold(own, insert)
}

fn insert(all: OwnedHeaders, (key, value): (&str, String)) -> OwnedHeaders {
    all.insert(Header { key, value: Some(&value) })
}

#[cfg(test)]
mod tests {
    use rdkafka::Timestamp;

    use super::*;
    use crate::message::text;

    fn message(headers: OwnedHeaders) -> OwnedMessage {
        let at = Timestamp::NotAvailable;
        OwnedMessage::new(Some(vec![1]), None, "t".into(), at, 2, 3, Some(headers))
    }

    #[test]
    fn a_message_cannot_say_what_became_of_it() {
        let own = [(header::OUTCOME, "applied".to_owned()), (header::ID, "7".to_owned())];
        let message = message(own.into_iter().fold(OwnedHeaders::new(), insert));
        let about = [
            (header::GROUP, "g"),
            (header::CAUSE, "failed"),
            (header::ERROR, "e"),
            (header::ATTEMPTS, "1"),
        ];
        let about = about.map(|(key, value)| (key, value.to_owned()));
        let copy = |part| {
            let headers = headers(&message, part, about.clone());
            super::tests::message(headers)
        };
        let whole = copy(Part::Whole);
        assert_eq!(text(&whole, header::OUTCOME), None);
        assert_eq!(text(&whole, header::ID).as_deref(), Some("7"));
        assert_eq!(text(&whole, header::ORIGIN_OFFSET).as_deref(), Some("3"));
        assert_eq!(text(&whole, header::OMITTED), None);
        assert_eq!(text(&copy(Part::WithoutPayload), header::OMITTED).as_deref(), Some("1"));
        assert_eq!(text(&copy(Part::Origin), header::ID), None);
    }
}
