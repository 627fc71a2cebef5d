//! What travels: CloudEvents in binary mode.

use bytes::Bytes;
use rdkafka::{
    Message,
    message::{Headers as _, OwnedMessage},
};
use uuid::Uuid;

/// Names of headers.
pub(crate) mod header {
    pub const SPEC_VERSION: &str = "ce_specversion";
    pub const ID: &str = "ce_id";
    pub const SOURCE: &str = "ce_source";
    pub const TYPE: &str = "ce_type";
    /// The aggregate's version.
    pub const SEQUENCE: &str = "ce_sequence";
    pub const CONTENT_TYPE: &str = "content-type";
    pub const TRACEPARENT: &str = "traceparent";
    /// Of dead letters, and of what is said of them; a message that brings one of its own loses it.
    pub const OF_DEAD_LETTERS: &str = "dlq_";
    /// The consumer group that could not apply it.
    pub const GROUP: &str = "dlq_group";
    /// A [`crate::dead_letters::Cause`].
    pub const CAUSE: &str = "dlq_cause";
    /// Bytes of a payload that did not fit, and lies at the origin only.
    pub const OMITTED: &str = "dlq_omitted";
    /// What a consumer is asked to do with letters, and the name of that request.
    pub const COMMAND: &str = "dlq_command";
    pub const COMMAND_ID: &str = "dlq_command_id";
    /// The key that a request is about.
    pub const KEY: &str = "dlq_key";
    /// The offset of the letter that a request or an outcome is about.
    pub const LETTER: &str = "dlq_letter";
    pub const OUTCOME: &str = "dlq_outcome";
    pub const ERROR: &str = "dlq_error";
    pub const ATTEMPTS: &str = "dlq_attempts";
    pub const ORIGIN_TOPIC: &str = "dlq_origin_topic";
    pub const ORIGIN_PARTITION: &str = "dlq_origin_partition";
    pub const ORIGIN_OFFSET: &str = "dlq_origin_offset";
}

/// The content type of every event.
pub(crate) const PROTOBUF: &str = "application/protobuf";
/// Characters.
const MAX_REASON: usize = 1_000;

/// A domain event as a consumer receives it.
#[derive(Clone, Debug)]
pub struct Event {
    /// The same however often it is delivered.
    pub id: Uuid,
    pub topic: String,
    /// The aggregate's id; events of one key arrive in the order of their versions.
    pub key: String,
    /// Full name of the message that `payload` holds.
    pub kind: String,
    /// Of the aggregate, after the change.
    pub version: i64,
    pub payload: Bytes,
    pub traceparent: Option<String>,
}

/// What the outbox takes; more did not come from there.
const MAX_PAYLOAD: usize = 256 * 1024;
/// A handler keeps parked keys in an index, whose entries have a limit.
const MAX_KEY: usize = 1024;

impl Event {
    /// The event in `message`, which stands or first stood in `topic`. `Err` says why it is none.
    pub(crate) fn read(message: &OwnedMessage, topic: &str) -> Result<Self, String> {
        let wanted = |name| text(message, name).ok_or_else(|| format!("no header {name}"));
        let wrong = |name| format!("header {name} cannot be read");
        expect(&wanted(header::SPEC_VERSION)?, "1.0", header::SPEC_VERSION)?;
        expect(media_type(&wanted(header::CONTENT_TYPE)?), PROTOBUF, header::CONTENT_TYPE)?;
        let version = wanted(header::SEQUENCE)?.parse().ok().filter(|version| *version > 0);
        Ok(Self {
            id: wanted(header::ID)?.parse().map_err(|_| wrong(header::ID))?,
            topic: topic.to_owned(),
            key: key(message)?.to_owned(),
            kind: wanted(header::TYPE)?,
            version: version.ok_or_else(|| wrong(header::SEQUENCE))?,
            payload: Bytes::copy_from_slice(payload(message)?),
            traceparent: text(message, header::TRACEPARENT),
        })
    }
}

fn expect(found: &str, expected: &str, name: &str) -> Result<(), String> {
    if found == expected {
        return Ok(());
    }
    Err(format!("header {name} is {:?}, not {expected:?}", legible(found)))
}

fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// PostgreSQL takes no NUL in a text, and handlers ask it for the key before anything is applied.
fn key(message: &OwnedMessage) -> Result<&str, String> {
    let key = message.key().filter(|key| !key.is_empty()).ok_or("no key")?;
    if key.len() > MAX_KEY {
        return Err(format!("the key has {} bytes, {MAX_KEY} are allowed", key.len()));
    }
    let key = std::str::from_utf8(key).map_err(|_| "the key is no text")?;
    if key.contains('\0') { Err("the key has a NUL".to_owned()) } else { Ok(key) }
}

fn payload(message: &OwnedMessage) -> Result<&[u8], String> {
    let payload = message.payload().ok_or("no payload")?;
    if payload.len() > MAX_PAYLOAD {
        return Err(format!("the payload has {} bytes, {MAX_PAYLOAD} are allowed", payload.len()));
    }
    Ok(payload)
}

/// A reason as a header and a table can hold it: without NUL and not endless.
pub(crate) fn legible(text: &str) -> String {
    text.chars().take(MAX_REASON).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect()
}

/// A header's value, if it is there and is text.
pub(crate) fn text(message: &OwnedMessage, name: &str) -> Option<String> {
    message
        .headers()?
        .iter()
        .find(|header| header.key == name)
        .and_then(|header| Some(std::str::from_utf8(header.value?).ok()?.to_owned()))
}

#[cfg(test)]
mod tests {
    use rdkafka::{
        Timestamp,
        message::{Header, OwnedHeaders},
    };

    use super::*;

    const HEADERS: [(&str, &str); 5] = [
        (header::SPEC_VERSION, "1.0"),
        (header::CONTENT_TYPE, "application/protobuf; charset=binary"),
        (header::ID, "00000000-0000-0000-0000-000000000001"),
        (header::TYPE, "t.v1.E"),
        (header::SEQUENCE, "7"),
    ];

    fn read(
        key: Option<&[u8]>,
        payload: Option<&[u8]>,
        headers: &[(&str, &str)],
    ) -> Result<Event, String> {
        let headers = headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| {
            all.insert(Header { key, value: Some(*value) })
        });
        let [key, payload] = [key, payload].map(|bytes| bytes.map(<[u8]>::to_vec));
        let at = Timestamp::NotAvailable;
        let message = OwnedMessage::new(payload, key, "t".into(), at, 0, 0, Some(headers));
        Event::read(&message, "t")
    }

    fn with(name: &str, value: &str) -> Result<Event, String> {
        let headers = HEADERS.map(|(key, old)| (key, if key == name { value } else { old }));
        read(Some(b"k"), Some(b""), &headers)
    }

    #[test]
    fn what_is_no_event_is_told_by_name() {
        let event = read(Some(b"k"), Some(b""), &HEADERS);
        assert_eq!(event.map(|event| event.version), Ok(7));
        for (name, _) in HEADERS {
            let rest: Vec<_> = HEADERS.into_iter().filter(|(key, _)| *key != name).collect();
            let missing = read(Some(b"k"), Some(b""), &rest);
            assert_eq!(missing.err(), Some(format!("no header {name}")));
        }
        for (name, value) in [
            (header::SPEC_VERSION, "0.3"),
            (header::CONTENT_TYPE, "application/json"),
            (header::ID, "seven"),
            (header::SEQUENCE, "-1"),
            (header::SEQUENCE, "99999999999999999999"),
        ] {
            assert!(with(name, value).is_err_and(|why| why.contains(name)), "{name}: {value}");
        }
    }

    #[test]
    fn keys_and_payloads_that_no_handler_can_hold_are_refused() {
        let long = vec![b'k'; MAX_KEY + 1];
        for key in [None, Some(&b""[..]), Some(b"\xff"), Some(b"k\0"), Some(&long)] {
            assert!(read(key, Some(b""), &HEADERS).is_err_and(|why| why.contains("key")));
        }
        let large = vec![0; MAX_PAYLOAD + 1];
        for payload in [None, Some(&large[..])] {
            assert!(read(Some(b"k"), payload, &HEADERS).is_err_and(|why| why.contains("payload")));
        }
    }

    #[test]
    fn a_reason_can_be_stored() {
        assert_eq!(legible("a\0b"), "a\u{fffd}b");
        assert_eq!(legible(&"x".repeat(5_000)).len(), MAX_REASON);
    }
}
