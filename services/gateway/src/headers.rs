//! What concerns one hop, or says who somebody is, goes no further.

use std::borrow::Cow;

use axum::{extract::Request, middleware::Next, response::Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};

use crate::{error, server::Peer};

/// RFC 9110, section 7.6.1, and those that came before it.
const ONE_HOP: [&str; 10] = [
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// Strips and rebuilds, on the way in and on the way out.
pub async fn rebuilt(mut request: Request, next: Next) -> Response {
    if matches!(*request.method(), Method::CONNECT | Method::TRACE) {
        return error::method_not_taken().response();
    }
    let forwarded = Forwarded::of(&request);
    let headers = request.headers_mut();
    strip_hop(headers);
    strip_identity(headers);
    forwarded.write(headers);
    let mut response = next.run(request).await;
    strip_hop(response.headers_mut());
    strip_identity(response.headers_mut());
    response
}

/// Headers of this hop, and those that `Connection` names.
fn strip_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in &named {
        headers.remove(name);
    }
    for name in ONE_HOP {
        headers.remove(name);
    }
}

/// What a caller could say about itself and those inside would believe, and what those inside say to each other.
/// Many servers take `X_Real_IP` for `X-Real-IP`.
fn strip_identity(headers: &mut HeaderMap) {
    let claims: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let name = match name.as_str() {
                name if name.contains('_') => Cow::Owned(name.replace('_', "-")),
                name => Cow::Borrowed(name),
            };
            name == "forwarded"
                || name == "x-real-ip"
                || name.starts_with("x-forwarded-")
                || name.starts_with("ficus-")
        })
        .cloned()
        .collect();
    for name in &claims {
        headers.remove(name);
    }
}

/// Where the request came from, as the gateway saw it.
struct Forwarded {
    peer: Option<HeaderValue>,
    host: Option<HeaderValue>,
}

impl Forwarded {
    fn of(request: &Request) -> Self {
        let peer = request.extensions().get::<Peer>().map(|peer| peer.0.clone());
        Self { peer, host: host(request.uri(), request.headers()) }
    }

    fn write(self, headers: &mut HeaderMap) {
        headers.insert("x-forwarded-proto", HeaderValue::from_static("http"));
        for (name, value) in [("x-forwarded-for", self.peer), ("x-forwarded-host", self.host)] {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
    }
}

/// An address in the request line outdoes the header (RFC 9112, section 3.2.2).
fn host(uri: &Uri, headers: &HeaderMap) -> Option<HeaderValue> {
    match uri.authority() {
        Some(authority) => HeaderValue::from_str(authority.as_str()).ok(),
        None => headers.get(header::HOST).cloned(),
    }
}
