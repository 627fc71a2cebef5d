//! The trace that a request belongs to.

use std::collections::HashSet;

use axum::{extract::Request, middleware::Next, response::Response};
use ficus_process::trace::{TRACEPARENT, is_traceparent};
use http::{HeaderMap, HeaderName};

const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// Drops a `traceparent` that is malformed or given twice, with its `tracestate`: a new trace begins then. A malformed
/// `tracestate` is dropped alone.
pub async fn sound(mut request: Request, next: Next) -> Response {
    let headers = request.headers_mut();
    let mut given = headers.get_all(TRACEPARENT).iter();
    let sound = match (given.next(), given.next()) {
        (Some(value), None) => value.to_str().is_ok_and(is_traceparent),
        _ => false,
    };
    if !sound {
        headers.remove(TRACEPARENT);
    }
    if !sound || !is_tracestate(headers) {
        headers.remove(TRACESTATE);
    }
    next.run(request).await
}

/// Whether all `tracestate` together is a list of at most 32 keys with values
/// (<https://www.w3.org/TR/trace-context/#tracestate-header>).
fn is_tracestate(headers: &HeaderMap) -> bool {
    let mut keys = HashSet::new();
    headers.get_all(TRACESTATE).iter().all(|value| {
        value.to_str().is_ok_and(|list| {
            list.split(',').map(str::trim).filter(|member| !member.is_empty()).all(|member| {
                let parts = member.split_once('=');
                parts.is_some_and(|(key, value)| is_key(key) && is_value(value) && keys.insert(key))
            })
        })
    }) && keys.len() <= 32
}

/// `vendor`, or `tenant@system`.
fn is_key(key: &str) -> bool {
    let begins = key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-*/@".contains(c);
    begins && key.len() <= 256 && key.chars().all(fits) && key.matches('@').count() <= 1
}

fn is_value(value: &str) -> bool {
    (1..=256).contains(&value.len()) && value.bytes().all(|b| matches!(b, b' '..=b'~') && b != b'=')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn malformed_states_are_told() {
        let is = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(TRACESTATE, value.parse().expect("a header"));
            }
            is_tracestate(&headers)
        };
        let many =
            |count: usize| (0..count).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        for sound in [
            &[][..],
            &["a=b"],
            &["a=b, tenant@vendor=x y ,"],
            &["a=b", "c=d"],
            &[&many(32)],
            &[&format!("{}={}", "k".repeat(256), "v".repeat(256))],
        ] {
            assert!(is(sound), "{sound:?}");
        }
        for malformed in [
            &["a"][..],
            &["=b"],
            &["a="],
            &["A=b"],
            &["a=b=c"],
            &["a b=c"],
            &["a@b@c=d"],
            &["a=b", "a=c"],
            &["a=b", "c"],
            &[&many(33)],
            &[&format!("a={}", "v".repeat(257))],
            &[&format!("{}=v", "k".repeat(257))],
        ] {
            assert!(!is(malformed), "{malformed:?}");
        }
    }
}
