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
    /// Of dead letters.
    pub const ERROR: &str = "dlq_error";
    pub const ATTEMPTS: &str = "dlq_attempts";
    pub const ORIGIN_TOPIC: &str = "dlq_origin_topic";
    pub const ORIGIN_PARTITION: &str = "dlq_origin_partition";
    pub const ORIGIN_OFFSET: &str = "dlq_origin_offset";
}

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

impl Event {
    /// `Err` names what is missing.
    pub(crate) fn read(message: &OwnedMessage) -> Result<Self, String> {
        let wanted = |name| text(message, name).ok_or_else(|| format!("no header {name}"));
        let wrong = |name| format!("header {name} cannot be read");
        let key = message.key().ok_or("no key")?;
        Ok(Self {
            id: wanted(header::ID)?.parse().map_err(|_| wrong(header::ID))?,
            topic: message.topic().to_owned(),
            key: std::str::from_utf8(key).map_err(|_| "the key is no text")?.to_owned(),
            kind: wanted(header::TYPE)?,
            version: wanted(header::SEQUENCE)?.parse().map_err(|_| wrong(header::SEQUENCE))?,
            payload: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
            traceparent: text(message, header::TRACEPARENT),
        })
    }
}

/// A header's value, if it is there and is text.
pub(crate) fn text(message: &OwnedMessage, name: &str) -> Option<String> {
    message
        .headers()?
        .iter()
        .find(|header| header.key == name)
        .and_then(|header| Some(std::str::from_utf8(header.value?).ok()?.to_owned()))
}
