//! Single HTTP requests to the stack.

use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use ficus_load::{Client, Request};
use http::Method;

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The status and body of a GET.
pub async fn get(base: &str, path: &str) -> Result<(u16, Bytes)> {
    send(base, Method::GET, path, Bytes::new()).await
}

/// The status and body of a POST of JSON.
pub async fn post(base: &str, path: &str, body: &serde_json::Value) -> Result<(u16, Bytes)> {
    send(base, Method::POST, path, serde_json::to_vec(body)?.into()).await
}

async fn send(base: &str, method: Method, path: &str, body: Bytes) -> Result<(u16, Bytes)> {
    let path = path.to_owned();
    let request = Request { route: "", method, path, bearer: None, idempotency_key: None, body };
    let reply = Client::new(base, PATIENCE).send(&request).await;
    match reply.status {
        Some(status) => Ok((status.as_u16(), reply.body)),
        None => bail!("{base}{} did not answer: {}", request.path, reply.error),
    }
}
