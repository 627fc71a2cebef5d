//! What travels: CloudEvents in binary mode.

use bytes::Bytes;
use uuid::Uuid;

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
