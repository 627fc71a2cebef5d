//! What an answer must be.

use http::Method;
use serde_json::Value;

use super::client::Answer;
use super::document::{Document, Operation};

/// The JSON of a success, nothing for a refusal; what is wrong otherwise. `method` is what was asked by, which may be
/// another than the operation's.
pub fn judge(
    document: &Document,
    operation: &Operation,
    method: &Method,
    answer: &Answer,
) -> Result<Option<Value>, String> {
    let kind = answer.headers.get("content-type").map_or(&b""[..], |value| value.as_bytes());
    let replayed = answer.headers.get("idempotent-replayed");
    if replayed.is_some_and(|value| value != "true") {
        return Err(format!("Idempotent-Replayed is {replayed:?}"));
    }
    let (done, expected) = match answer.status {
        200 => (true, "application/json"),
        400..=499 => (false, "application/problem+json"),
        status => return Err(format!("the status is {status}")),
    };
    if kind != expected.as_bytes() {
        return Err(format!("Content-Type is {:?}", String::from_utf8_lossy(kind)));
    }
    if *method == Method::HEAD {
        return Ok(done.then_some(Value::Null));
    }
    let json: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
    if done {
        document.fits(operation, &json)?;
        return Ok(Some(json));
    }
    document.is_problem(&json)?;
    let same = json["status"] == answer.status;
    same.then_some(None).ok_or_else(|| "it names another status".to_owned())
}
