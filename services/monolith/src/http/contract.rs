//! What is asked: a message of the contract, from body, path and query.

use std::collections::HashMap;

use axum::RequestExt;
use axum::extract::{FromRequest, Path, Query, Request};
use bytes::Bytes;
use ficus_rpc::{Error, json};
use http::StatusCode;
use prost_reflect::ReflectMessage;

use super::Ended;

/// The request's message: the body as JSON, then what the path and the query say. A field of the path
/// outdoes one of the body.
#[derive(Clone, Debug)]
pub struct Contract<M>(pub M);

impl<S, M> FromRequest<S> for Contract<M>
where
    M: ReflectMessage + Default + 'static,
    S: Send + Sync,
{
    type Rejection = Ended;

    async fn from_request(mut request: Request, _: &S) -> Result<Self, Ended> {
        let path = request.extract_parts::<Path<HashMap<String, String>>>().await;
        let path = path.map_err(|error| bad_request(&error.to_string()))?;
        let query = request.extract_parts::<Query<HashMap<String, String>>>().await;
        let query = query.map_err(|error| bad_request(&error.to_string()))?;
        let body = read_body(request).await?;
        let message: M = json::decode(&body)?;
        if path.is_empty() && query.is_empty() {
            return Ok(Self(message));
        }
        let mut message = message.transcode_to_dynamic();
        for (name, value) in query.0.iter().chain(&path.0) {
            json::set(&mut message, name, value)?;
        }
        let message = message.transcode_to().map_err(|error| bad_request(&error.to_string()))?;
        Ok(Self(message))
    }
}

async fn read_body(request: Request) -> Result<Bytes, Error> {
    Bytes::from_request(request, &()).await.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            Error::too_large("body_too_large", "the body is larger than 1 MiB")
        } else {
            bad_request(&rejection.to_string())
        }
    })
}

fn bad_request(detail: &str) -> Error {
    Error::invalid("bad_request", detail.to_owned())
}
