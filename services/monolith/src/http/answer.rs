//! What a route gives back.

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use ficus_rpc::{Error, IDEMPOTENT_REPLAYED, json};
use http::{HeaderValue, header};
use prost_reflect::ReflectMessage;

/// A message in the contract's JSON.
#[derive(Clone, Debug)]
pub struct Answer(Bytes);

impl Answer {
    /// The answer that says `message`.
    pub fn of<M: ReflectMessage>(message: &M) -> Self {
        Self(json::encode(message).into())
    }

    /// Its JSON.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Vec<u8>> for Answer {
    fn from(json: Vec<u8>) -> Self {
        Self(json.into())
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], self.0).into_response()
    }
}

/// Why a handler stops before its end.
#[derive(Debug)]
pub enum Ended {
    /// The caller gets a problem document.
    Refused(Error),
    /// The write was done before under the same key; this is what was answered then.
    Replayed(Answer),
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl IntoResponse for Ended {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(error) => error.response::<Body>(),
            Self::Replayed(answer) => ([(IDEMPOTENT_REPLAYED, "true")], answer).into_response(),
        }
    }
}
