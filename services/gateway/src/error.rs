//! Everything that goes wrong in the gateway, as problem documents: the one place that maps it.

use std::{error::Error as StdError, io};

use axum::response::Response;
use bytes::Bytes;
use ficus_routing::{BoxError, Refusal};
use ficus_rpc::{Error, problem::Problem};
use http::{HeaderValue, StatusCode, header};
use http_body_util::LengthLimitError;
use tower::{load_shed::error::Overloaded, timeout::error::Elapsed};

const TARGET_TOO_LONG: (&str, &str) = ("target_too_long", "path and query have 8192 bytes at most");

/// Why an owner's answer is not there.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The request was not sent.
    #[error("failed to reach the owner")]
    Unreachable(#[source] BoxError),
    /// The request may have been sent; whether it had an effect is not known.
    #[error("lost the owner's answer")]
    Lost(#[source] BoxError),
    /// Who calls could not be found out; the request was not sent.
    #[error("failed to resolve the caller's token")]
    Identity(#[source] BoxError),
    /// The gateway's own word on the request.
    #[error(transparent)]
    Refused(#[from] Error),
}

/// The answer to a request that has none from its owner. Server faults are logged here and nowhere else.
pub async fn answer(error: BoxError) -> Response {
    if is_too_slow(&*error) {
        return too_slow();
    }
    let refused = problem(&*error);
    let (code, status) = match &refused {
        Some(error) => (&*error.code, error.http_status()),
        None => ("answer_lost", StatusCode::BAD_GATEWAY),
    };
    if status.is_server_error() {
        let (causes, status) = (chain(&*error), status.as_u16());
        tracing::warn!(code, status, error = causes, "failed to have a request answered");
    }
    refused.map_or_else(answer_lost, |error| error.response())
}

/// `None` where it is not known whether the request had an effect.
fn problem(error: &(dyn StdError + 'static)) -> Option<Error> {
    if find::<LengthLimitError>(error).is_some() {
        return Some(too_large());
    }
    if let Some(refusal) = find::<Refusal>(error) {
        return Some(Error::unavailable("switch_under_way", refusal.to_string()));
    }
    if find::<Overloaded>(error).is_some() {
        return Some(Error::unavailable(
            "overloaded",
            "too many requests are under way; try again",
        ));
    }
    if find::<Elapsed>(error).is_some() {
        return Some(Error::deadline("deadline", "failed to answer in time"));
    }
    match find::<UpstreamError>(error) {
        Some(UpstreamError::Lost(_)) => None,
        Some(UpstreamError::Refused(error)) => Some(error.clone()),
        Some(UpstreamError::Unreachable(_)) => {
            Some(Error::unavailable("owner_unreachable", "failed to reach the owner; try again"))
        }
        Some(UpstreamError::Identity(_)) => Some(Error::unavailable(
            "identity_unavailable",
            "failed to find out who calls; try again",
        )),
        // Only a body that broke off is left: it was read here, and nothing was sent.
        None => Some(Error::invalid("bad_request", "failed to read the body")),
    }
}

/// 413.
pub fn too_large() -> Error {
    Error::too_large("body_too_large", "the body is larger than is taken")
}

/// 400: the request could be read in two ways.
pub fn ambiguous() -> Error {
    Error::invalid("ambiguous_request", "where the request ends can be read in two ways")
}

/// 400 for CONNECT and TRACE.
pub fn method_not_taken() -> Error {
    Error::invalid("method_not_taken", "this method is not taken")
}

/// 408.
pub fn too_slow() -> Response {
    document(StatusCode::REQUEST_TIMEOUT, "too_slow", "the body took too long to arrive")
}

/// 414.
pub fn target_too_long() -> Response {
    let (code, detail) = TARGET_TOO_LONG;
    document(StatusCode::URI_TOO_LONG, code, detail)
}

/// The body of the answer to a head that the HTTP library refuses with this status.
pub fn unreadable(status: StatusCode) -> Bytes {
    let (code, detail) = match status {
        StatusCode::URI_TOO_LONG => TARGET_TOO_LONG,
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ("head_too_large", "a head has 100 headers and 32768 bytes at most")
        }
        _ => ("unreadable_request", "failed to read the head as one of HTTP/1.1"),
    };
    problem_body(status, code, detail)
}

/// 405 for what the gateway answers itself.
pub fn method_not_allowed() -> Response {
    document(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path is not asked by this method",
    )
}

/// 502.
fn answer_lost() -> Response {
    document(
        StatusCode::BAD_GATEWAY,
        "answer_lost",
        "the connection to the owner broke; whether the request had an effect is not known",
    )
}

/// A problem of the gateway's own that no service has.
fn document(status: StatusCode, code: &str, detail: &str) -> Response {
    let mut response = Response::new(problem_body(status, code, detail).into());
    *response.status_mut() = status;
    let json = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn problem_body(status: StatusCode, code: &str, detail: &str) -> Bytes {
    let title = status.canonical_reason().unwrap_or_default();
    let problem = Problem { r#type: "about:blank", title, status: status.as_u16(), code, detail };
    serde_json::to_vec(&problem).expect("strings and a number are JSON").into()
}

/// Whether a body broke off because its sender was too slow.
pub fn is_too_slow(error: &(dyn StdError + 'static)) -> bool {
    let slow = |error: &io::Error| error.kind() == io::ErrorKind::TimedOut;
    find::<UpstreamError>(error).is_none() && find::<io::Error>(error).is_some_and(slow)
}

/// The first error of a type in a chain of causes.
pub fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        next = error.source();
    }
    None
}

fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}
