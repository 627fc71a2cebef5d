//! One request, and what became of it.

use std::time::Instant;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Serialize;

/// A request of a scenario.
#[derive(Debug, Clone)]
pub struct Request {
    /// What reports sum up under, as `POST /v1/tasks/{id}`.
    pub route: &'static str,
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Sent as `Authorization: Bearer …`.
    pub bearer: Option<String>,
    /// Sent as `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// JSON; empty for a request without a body.
    pub body: Bytes,
}

/// What a client may believe of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// 2xx: it happened, once.
    Acknowledged,
    /// 4xx, or 503 with `Retry-After`: it did not happen.
    Refused,
    /// Any other 5xx, a broken connection, a time-out: it may have happened.
    Unknown,
}

impl Class {
    /// Reads an answer's status.
    pub fn of(status: StatusCode, retry_after: bool) -> Self {
        if status.is_success() {
            Self::Acknowledged
        } else if status.is_client_error()
            || (status == StatusCode::SERVICE_UNAVAILABLE && retry_after)
        {
            Self::Refused
        } else {
            Self::Unknown
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone)]
pub struct Reply {
    /// `None`: no answer came.
    pub status: Option<StatusCode>,
    pub class: Class,
    pub body: Bytes,
    /// When it left, which is later than when it was due if the tester was late.
    pub sent: Instant,
    /// When the answer was whole, or given up.
    pub ended: Instant,
    /// Why no answer came; empty when one did.
    pub error: String,
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::Class;

    #[test]
    fn a_status_tells_what_a_client_may_believe() {
        assert_eq!(Class::of(StatusCode::CREATED, false), Class::Acknowledged);
        assert_eq!(Class::of(StatusCode::CONFLICT, false), Class::Refused);
        assert_eq!(Class::of(StatusCode::SERVICE_UNAVAILABLE, true), Class::Refused);
        assert_eq!(Class::of(StatusCode::SERVICE_UNAVAILABLE, false), Class::Unknown);
        assert_eq!(Class::of(StatusCode::INTERNAL_SERVER_ERROR, true), Class::Unknown);
        assert_eq!(Class::of(StatusCode::FOUND, false), Class::Unknown);
    }
}
