//! The public API, described.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The document as it is sent.
#[derive(Debug)]
pub struct Document {
    json: Bytes,
    tag: HeaderValue,
}

impl Document {
    pub fn new(document: &Value) -> Self {
        let json = Bytes::from(document.to_string());
        let digest = Sha256::digest(&json);
        let digest = digest.iter().take(16).fold(0, |all, &byte| all << 8 | u128::from(byte));
        let tag = HeaderValue::try_from(format!("\"{digest:032x}\"")).expect("hexadecimal digits");
        Self { json, tag }
    }
}

/// `GET /openapi.json`. It changes with a release only; whoever keeps it asks whether it still is the same.
pub async fn document(State(document): State<Arc<Document>>, headers: HeaderMap) -> Response {
    let kept = [(header::ETAG, document.tag.clone()), (header::CACHE_CONTROL, NO_CACHE)];
    if matches(&headers, &document.tag) {
        return (StatusCode::NOT_MODIFIED, kept).into_response();
    }
    (kept, [(header::CONTENT_TYPE, JSON)], document.json.clone()).into_response()
}

const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// `If-None-Match` (RFC 9110, section 13.1.2): any of a list, weak or not.
fn matches(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let given =
        headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag)
}
