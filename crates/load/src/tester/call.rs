//! One request, encoded before the run, and what its answer must be.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, TRANSFER_ENCODING},
    uri::{PathAndQuery, Scheme},
};
use http_body_util::Full;

use super::target::{Protocol, Target};

/// Characters that are kept of what an answer says.
const SAID: usize = 160;

/// What is sent.
#[derive(Debug, Clone)]
pub struct Call {
    pub method: Method,
    pub uri: Uri,
    pub version: Version,
    /// Those that calls of many users have in common.
    pub headers: Arc<HeaderMap>,
    /// Those that are this call's alone.
    pub own: Box<[(HeaderName, HeaderValue)]>,
    pub body: Body,
    pub wanted: Wanted,
}

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The same each time
    Fixed(Bytes),
    /// With a number between each two of these that no other request of the run has.
    Numbered(Arc<[Bytes]>),
}

/// What makes an answer a right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Any 2xx
    Success,
    /// One of these
    Status(Vec<StatusCode>),
    /// `grpc-status: 0`, and one whole message.
    GrpcOk,
}

/// An answer, whole.
pub(super) struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub trailers: Option<HeaderMap>,
    pub body: Bytes,
}

impl Call {
    /// An HTTP request with headers as of [`Call::http_headers`].
    pub fn http(
        target: &Target,
        method: Method,
        headers: Arc<HeaderMap>,
        body: Body,
        wanted: Wanted,
    ) -> Self {
        let uri = target.path.clone().into();
        Self { method, uri, version: Version::HTTP_11, headers, own: Box::default(), body, wanted }
    }

    /// These and `Host`; what says where a body ends is said by the request itself.
    pub fn http_headers(target: &Target, mut headers: HeaderMap) -> HeaderMap {
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
        if let Ok(host) = HeaderValue::from_str(target.authority.as_str()) {
            headers.entry(HOST).or_insert(host);
        }
        headers
    }

    /// These and what gRPC asks for.
    pub fn grpc_headers(mut headers: HeaderMap) -> HeaderMap {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        headers
    }

    /// A unary gRPC call with this message, encoded, and headers as of [`Call::grpc_headers`].
    pub fn grpc(target: &Target, headers: Arc<HeaderMap>, message: &[u8]) -> Self {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(target.authority.clone());
        parts.path_and_query = Some(target.path.clone());
        Self {
            method: Method::POST,
            uri: Uri::from_parts(parts).unwrap_or_default(),
            version: Version::HTTP_2,
            headers,
            own: Box::default(),
            body: Body::Fixed(framed(message)),
            wanted: Wanted::GrpcOk,
        }
    }

    /// With one more header, if there is one; the number is for bodies that have a place for it.
    pub(super) fn message(
        &self,
        number: u64,
        more: Option<(HeaderName, HeaderValue)>,
    ) -> Request<Full<Bytes>> {
        let mut message = Request::new(Full::new(self.body.numbered(number)));
        message.method_mut().clone_from(&self.method);
        message.uri_mut().clone_from(&self.uri);
        *message.version_mut() = self.version;
        let headers = message.headers_mut();
        headers.clone_from(&self.headers);
        headers.extend(self.own.iter().cloned());
        headers.extend(more);
        message
    }

    /// The same as HTTP/1.1 has it (RFC 9112), behind what is there already.
    pub(super) fn encode(
        &self,
        number: u64,
        more: Option<&(HeaderName, HeaderValue)>,
        into: &mut Vec<u8>,
    ) {
        let path = self.uri.path_and_query().map_or("/", PathAndQuery::as_str);
        for part in [self.method.as_str(), " ", path, " HTTP/1.1\r\n"] {
            into.extend_from_slice(part.as_bytes());
        }
        let own = self.own.iter().chain(more).map(|(name, value)| (name, value));
        for (name, value) in self.headers.iter().chain(own) {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                into.extend_from_slice(part);
            }
        }
        let body = self.body.numbered(number);
        // RFC 9110, 8.6: a length also where there is no content, if the method means that there could be.
        if !body.is_empty() || [Method::POST, Method::PUT, Method::PATCH].contains(&self.method) {
            let length = format!("content-length: {}\r\n", body.len());
            into.extend_from_slice(length.as_bytes());
        }
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(&body);
    }

    pub(super) fn protocol(&self) -> Protocol {
        if self.wanted == Wanted::GrpcOk { Protocol::Grpc } else { Protocol::Http }
    }
}

impl Body {
    /// Has a number wherever the text has this mark.
    pub fn new(text: Bytes, mark: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text.clone();
        while let Some(at) = rest.windows(mark.len()).position(|part| part == mark.as_bytes()) {
            parts.push(rest.split_to(at));
            let _ = rest.split_to(mark.len());
        }
        if parts.is_empty() {
            return Self::Fixed(text);
        }
        parts.push(rest);
        Self::Numbered(parts.into())
    }

    fn numbered(&self, number: u64) -> Bytes {
        match self {
            Self::Fixed(body) => body.clone(),
            Self::Numbered(parts) => {
                let number = number.to_string();
                let mut body = BytesMut::new();
                for (place, part) in parts.iter().enumerate() {
                    if place > 0 {
                        body.extend_from_slice(number.as_bytes());
                    }
                    body.extend_from_slice(part);
                }
                body.freeze()
            }
        }
    }
}

impl Wanted {
    /// Nothing if the answer is a right one; else its kind of error, and what it said.
    pub(super) fn missed_by(&self, answer: &Answer) -> Option<(String, String)> {
        match self {
            Self::Success if answer.status.is_success() => None,
            Self::Status(wanted) if wanted.contains(&answer.status) => None,
            Self::GrpcOk if answer.status == StatusCode::OK => grpc(answer),
            _ => Some((format!("status {}", answer.status.as_u16()), said(&answer.body))),
        }
    }
}

fn grpc(answer: &Answer) -> Option<(String, String)> {
    let of = |name| {
        let trailer = answer.trailers.as_ref().and_then(|trailers| trailers.get(name));
        trailer.or_else(|| answer.headers.get(name)).and_then(|value| value.to_str().ok())
    };
    match of("grpc-status") {
        Some("0") if is_one_message(&answer.body) => None,
        Some("0") => {
            Some(("no message".to_owned(), "the answer is not one whole message".to_owned()))
        }
        Some(code) => {
            let said = of("grpc-message").unwrap_or_default().to_owned();
            Some((format!("grpc {}", name(code)), said))
        }
        None => Some(("no grpc-status".to_owned(), said(&answer.body))),
    }
}

/// Of <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>.
fn name(code: &str) -> &str {
    const NAMES: [&str; 17] = [
        "OK",
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    code.parse().ok().and_then(|code: usize| NAMES.get(code).copied()).unwrap_or(code)
}

/// Not compressed, and its length.
fn framed(message: &[u8]) -> Bytes {
    let mut framed = Vec::with_capacity(5 + message.len());
    framed.push(0);
    framed.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    framed.extend_from_slice(message);
    framed.into()
}

fn is_one_message(body: &[u8]) -> bool {
    match body {
        [_, a, b, c, d, message @ ..] => {
            u32::try_from(message.len()) == Ok(u32::from_be_bytes([*a, *b, *c, *d]))
        }
        _ => false,
    }
}

/// The beginning of what an answer says, on one line.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(500)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(SAID).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, trailers: &[(&'static str, &'static str)], body: Vec<u8>) -> Answer {
        let trailers = trailers
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)));
        Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers: HeaderMap::new(),
            trailers: Some(trailers.collect()),
            body: body.into(),
        }
    }

    fn kind(wanted: &Wanted, answer: &Answer) -> Option<String> {
        wanted.missed_by(answer).map(|(kind, _)| kind)
    }

    #[test]
    fn a_body_has_another_number_each_time() {
        let body = Body::new(Bytes::from_static(b"a-#-#"), "#");
        assert_eq!(body.numbered(12), "a-12-12");
        let fixed = Body::new(Bytes::from_static(b"abc"), "#");
        assert_eq!(fixed, Body::Fixed(Bytes::from_static(b"abc")));
    }

    #[test]
    fn a_request_is_encoded_with_its_number_and_its_length() {
        let target: Target = "http://127.0.0.1:1/a?b=c".parse().expect("a target");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("7"));
        let headers = Arc::new(Call::http_headers(&target, headers));
        let encoded = |method, text: &'static [u8]| {
            let body = Body::new(Bytes::from_static(text), "#");
            let call = Call::http(&target, method, headers.clone(), body, Wanted::Success);
            let more = (HeaderName::from_static("x"), HeaderValue::from_static("y"));
            let mut encoded = Vec::new();
            call.encode(12, Some(&more), &mut encoded);
            String::from_utf8(encoded).expect("text")
        };
        let head = "/a?b=c HTTP/1.1\r\nhost: 127.0.0.1:1\r\nx: y\r\n";
        assert_eq!(encoded(Method::GET, b""), format!("GET {head}\r\n"));
        assert_eq!(encoded(Method::POST, b""), format!("POST {head}content-length: 0\r\n\r\n"));
        assert_eq!(
            encoded(Method::POST, b"#!"),
            format!("POST {head}content-length: 3\r\n\r\n12!")
        );
    }

    #[test]
    fn a_fast_error_is_no_right_answer() {
        let not_found = answer(404, &[], Vec::new());
        assert_eq!(kind(&Wanted::Success, &not_found).as_deref(), Some("status 404"));
        assert_eq!(kind(&Wanted::Status(vec![StatusCode::NOT_FOUND]), &not_found), None);
    }

    #[test]
    fn what_an_error_says_is_one_short_line() {
        let page = answer(404, &[], format!("<html>\n  no such\tpage {}", "é".repeat(400)).into());
        let (_, said) = Wanted::Success.missed_by(&page).expect("an error");
        assert!(said.starts_with("<html> no such page éé"), "{said}");
        assert_eq!(said.chars().count(), SAID);
    }

    #[test]
    fn a_call_must_end_well_and_bring_a_message() {
        let whole = framed(b"abc").to_vec();
        let ok = ("grpc-status", "0");
        assert_eq!(kind(&Wanted::GrpcOk, &answer(200, &[ok], whole.clone())), None);
        for (wrong, said) in [
            (answer(200, &[ok], whole[..6].to_vec()), "no message"),
            (answer(200, &[ok], Vec::new()), "no message"),
            (answer(200, &[("grpc-status", "14")], whole.clone()), "grpc UNAVAILABLE"),
            (answer(200, &[("grpc-status", "99")], whole.clone()), "grpc 99"),
            (answer(200, &[], whole.clone()), "no grpc-status"),
            (answer(502, &[ok], whole), "status 502"),
        ] {
            assert_eq!(kind(&Wanted::GrpcOk, &wrong).as_deref(), Some(said));
        }
    }
}
