//! A span as it stands on a line of the file.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::id::{SpanId, TraceId};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Span {
    pub trace_id: TraceId,
    #[serde(rename = "span_id")]
    pub id: SpanId,
    #[serde(rename = "parent_span_id")]
    pub parent: Option<SpanId>,
    pub links: Vec<Link>,
    pub service: String,
    pub name: String,
    pub kind: Kind,
    pub start_unix_nano: u64,
    pub end_unix_nano: u64,
    pub attributes: Map<String, Value>,
    pub status: Status,
    /// What went wrong; empty unless `status` is `error`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub status_message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    pub trace_id: TraceId,
    pub span_id: SpanId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Unset,
    Ok,
    Error,
}
