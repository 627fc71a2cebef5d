//! One request, encoded before the run, and what its answer must be.

use std::{fmt, sync::Arc};

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, TE, TRANSFER_ENCODING},
    uri::{Authority, PathAndQuery},
};

use super::target::{Protocol, Target};

/// Characters that are kept of what an answer says.
const SAID: usize = 160;

/// What is sent. Of what calls of many users have in common each has but a share.
#[derive(Debug, Clone)]
pub struct Call {
    pub kind: Arc<Kind>,
    pub path: PathAndQuery,
    /// Headers that are this user's.
    pub own: Arc<[(HeaderName, HeaderValue)]>,
    pub body: Body,
}

/// What all calls of a kind have in common.
#[derive(Debug, Clone)]
pub struct Kind {
    pub method: Method,
    /// host:port, as the URL has it.
    pub authority: Authority,
    /// With TLS.
    pub secure: bool,
    pub headers: HeaderMap,
    pub wanted: Wanted,
    /// What an answer must be besides.
    pub checks: Vec<Check>,
}

/// Looks at an answer that is wanted by its status; a gRPC answer's body has its messages, framed.
#[derive(Clone)]
pub struct Check {
    /// What reports sum up under, when it fails.
    pub name: String,
    look: Arc<Look>,
}

/// Says what is wrong.
type Look = dyn Fn(StatusCode, &[u8]) -> Result<(), String> + Send + Sync;

/// What a request carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The same each time
    Fixed(Bytes),
    /// With a number in each of these places that no other request of the run has, and if so many digits are said, of
    /// exactly as many.
    Numbered { text: Bytes, places: Box<[u32]>, digits: Option<u8> },
}

/// What makes an answer a right one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// Any 2xx
    Success,
    /// One of these
    Status(Vec<StatusCode>),
    /// `grpc-status: 0`, and one whole message
    GrpcOk,
    /// `grpc-status: 0`, and any number of whole messages
    GrpcStream,
}

/// An answer, whole.
#[derive(Debug)]
pub(super) struct Answer {
    pub status: StatusCode,
    pub body: Bytes,
    /// Of a gRPC call that said so.
    pub ended: Option<Ended>,
}

/// `grpc-status` and `grpc-message`.
#[derive(Debug)]
pub(super) struct Ended {
    pub code: String,
    pub message: String,
}

impl Kind {
    /// An HTTP request. Its headers are these and `Host`; what says where a body ends is said by each request itself.
    pub fn http(target: &Target, method: Method, mut headers: HeaderMap, wanted: Wanted) -> Self {
        headers.remove(CONTENT_LENGTH);
        headers.remove(TRANSFER_ENCODING);
        if let Ok(host) = HeaderValue::from_str(target.authority.as_str()) {
            headers.entry(HOST).or_insert(host);
        }
        Self::of(target, method, headers, wanted)
    }

    /// A gRPC call. Its headers are these and what gRPC asks for.
    pub fn grpc(target: &Target, mut headers: HeaderMap, wanted: Wanted) -> Self {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
        Self::of(target, Method::POST, headers, wanted)
    }

    fn of(target: &Target, method: Method, headers: HeaderMap, wanted: Wanted) -> Self {
        let (authority, secure) = (target.authority.clone(), target.secure);
        Self { method, authority, secure, headers, wanted, checks: Vec::new() }
    }

    pub(super) fn protocol(&self) -> Protocol {
        match self.wanted {
            Wanted::GrpcOk | Wanted::GrpcStream => Protocol::Grpc,
            Wanted::Success | Wanted::Status(_) => Protocol::Http,
        }
    }
}

impl Call {
    /// A call that is nobody's own.
    pub fn new(kind: Kind, target: &Target, body: Body) -> Self {
        Self { kind: Arc::new(kind), path: target.path.clone(), own: Arc::default(), body }
    }

    /// Nothing if the answer is a right one; else its kind of error, and what it said.
    pub(super) fn missed_by(&self, answer: &Answer) -> Option<(String, String)> {
        self.kind.wanted.missed_by(answer).or_else(|| {
            let failed = |check: &Check| {
                Some((check.name.clone(), check.fails(answer.status, &answer.body)?))
            };
            self.kind.checks.iter().find_map(failed)
        })
    }

    /// As HTTP/1.1 has it (RFC 9112), behind what is there already, with one more header if there is one; the number is
    /// for bodies that have a place for it.
    pub(super) fn encode(
        &self,
        number: u64,
        more: Option<&(HeaderName, HeaderValue)>,
        into: &mut Vec<u8>,
    ) {
        let Kind { method, headers, .. } = &*self.kind;
        for part in [method.as_str(), " ", self.path.as_str(), " HTTP/1.1\r\n"] {
            into.extend_from_slice(part.as_bytes());
        }
        let own = self.own.iter().chain(more).map(|(name, value)| (name, value));
        for (name, value) in headers.iter().chain(own) {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                into.extend_from_slice(part);
            }
        }
        let body = self.body.numbered(number);
        // RFC 9110, 8.6: a length also where there is no content, if the method means that there could be.
        if !body.is_empty() || [Method::POST, Method::PUT, Method::PATCH].contains(method) {
            let length = format!("content-length: {}\r\n", body.len());
            into.extend_from_slice(length.as_bytes());
        }
        into.extend_from_slice(b"\r\n");
        into.extend_from_slice(&body);
    }
}

impl Check {
    pub fn new(
        name: String,
        look: impl Fn(StatusCode, &[u8]) -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self { name, look: Arc::new(look) }
    }

    /// What is wrong with an answer; nothing if all is well.
    pub fn fails(&self, status: StatusCode, body: &[u8]) -> Option<String> {
        (self.look)(status, body).err()
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Check").field(&self.name).finish()
    }
}

impl Body {
    /// Has a number wherever the text has this mark.
    pub fn new(text: Bytes, mark: &str) -> Self {
        Self::of(text, mark, None)
    }

    /// Messages of a gRPC call, encoded, which have a number wherever they have this mark. A message tells how long
    /// its texts are, so all numbers have as many digits as the mark has bytes.
    pub fn grpc(messages: &[Vec<u8>], mark: &str) -> Self {
        let mut framed = Vec::new();
        for message in messages {
            // Not compressed, and its length.
            framed.push(0);
            let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
            framed.extend_from_slice(&length.to_be_bytes());
            framed.extend_from_slice(message);
        }
        Self::of(framed.into(), mark, u8::try_from(mark.len()).ok())
    }

    fn of(text: Bytes, mark: &str, digits: Option<u8>) -> Self {
        let (mut places, mut rest, mut without) = (Vec::new(), &*text, BytesMut::new());
        while let Some(at) = rest.windows(mark.len()).position(|part| part == mark.as_bytes()) {
            without.extend_from_slice(&rest[..at]);
            places.push(u32::try_from(without.len()).unwrap_or(u32::MAX));
            rest = &rest[at + mark.len()..];
        }
        if places.is_empty() {
            return Self::Fixed(text);
        }
        without.extend_from_slice(rest);
        // With no more room than it needs.
        let text = Bytes::from(Box::<[u8]>::from(&*without));
        Self::Numbered { text, places: places.into(), digits }
    }

    pub(super) fn numbered(&self, number: u64) -> Bytes {
        let (text, places, digits) = match self {
            Self::Fixed(body) => return body.clone(),
            Self::Numbered { text, places, digits } => (text, places, digits),
        };
        let number = match digits {
            None => number.to_string(),
            // The last ones, of a number that has more.
            Some(digits) => {
                let beyond = 10_u64.checked_pow((*digits).into());
                let number = beyond.map_or(number, |beyond| number % beyond);
                format!("{number:0width$}", width = usize::from(*digits))
            }
        };
        let mut body = BytesMut::with_capacity(text.len() + places.len() * number.len());
        let mut from = 0;
        for place in places {
            let place = usize::try_from(*place).unwrap_or(text.len()).min(text.len());
            body.extend_from_slice(&text[from..place]);
            body.extend_from_slice(number.as_bytes());
            from = place;
        }
        body.extend_from_slice(&text[from..]);
        body.freeze()
    }
}

/// The messages of a gRPC call (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>), without what frames
/// them. Fails if the last one is not whole.
pub fn messages(mut framed: &[u8]) -> Result<Vec<&[u8]>, String> {
    let mut messages = Vec::new();
    while !framed.is_empty() {
        let (head, rest) = framed.split_at_checked(5).ok_or("the answer is cut off")?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let whole = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
        let (message, rest) = whole.ok_or("the answer is cut off")?;
        messages.push(message);
        framed = rest;
    }
    Ok(messages)
}

impl Wanted {
    /// Nothing if the answer is a right one; else its kind of error, and what it said.
    pub(super) fn missed_by(&self, answer: &Answer) -> Option<(String, String)> {
        match self {
            Self::Success if answer.status.is_success() => None,
            Self::Status(wanted) if wanted.contains(&answer.status) => None,
            Self::GrpcOk if answer.status == StatusCode::OK => grpc(answer, Some(1)),
            Self::GrpcStream if answer.status == StatusCode::OK => grpc(answer, None),
            _ => Some((format!("status {}", answer.status.as_u16()), said(&answer.body))),
        }
    }
}

/// `number` of messages is wanted, or any.
fn grpc(answer: &Answer, number: Option<usize>) -> Option<(String, String)> {
    let Some(Ended { code, message }) = &answer.ended else {
        return Some(("no grpc-status".to_owned(), said(&answer.body)));
    };
    if code != "0" {
        return Some((format!("grpc {}", name(code)), message.clone()));
    }
    let said = match messages(&answer.body) {
        Ok(messages) if number.is_none_or(|number| number == messages.len()) => return None,
        Ok(messages) => format!("the answer has {} messages instead of one", messages.len()),
        Err(said) => said,
    };
    Some(("no message".to_owned(), said))
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

/// The beginning of what an answer says, on one line.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(&body[..body.len().min(500)]);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(SAID).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, code: Option<&str>, body: Vec<u8>) -> Answer {
        let ended = code.map(|code| Ended { code: code.to_owned(), message: String::new() });
        let status = StatusCode::from_u16(status).expect("a status");
        Answer { status, body: body.into(), ended }
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
    fn a_number_leaves_a_message_as_long_as_it_said() {
        let body = Body::grpc(&[b"\x0a\x05a####".to_vec(), b"\x08\x01".to_vec()], "####");
        let numbered = body.numbered(12);
        assert_eq!(messages(&numbered), Ok(vec![&b"\x0a\x05a0012"[..], b"\x08\x01"]));
        assert_eq!(numbered, &b"\0\0\0\0\x07\x0a\x05a0012\0\0\0\0\x02\x08\x01"[..]);
        assert_eq!(body.numbered(1_234_567), body.numbered(4_567), "no longer than the mark");
        assert!(messages(&numbered[..7]).is_err());
        assert_eq!(messages(&[]), Ok(Vec::new()));
    }

    #[test]
    fn a_right_status_with_a_wrong_body_is_an_error_of_the_check_s_name() {
        let target: Target = "http://127.0.0.1:1/".parse().expect("a target");
        let body = Body::Fixed(Bytes::new());
        let mut kind = Kind::http(&target, Method::GET, HeaderMap::new(), Wanted::Success);
        let has = |_, body: &[u8]| if body == b"a" { Ok(()) } else { Err("no a".to_owned()) };
        kind.checks = vec![Check::new("check a".to_owned(), has)];
        let call = Call::new(kind, &target, body);
        assert_eq!(call.missed_by(&answer(200, None, b"a".to_vec())), None);
        let failed = Some(("check a".to_owned(), "no a".to_owned()));
        assert_eq!(call.missed_by(&answer(200, None, b"b".to_vec())), failed);
        let (kind, _) = call.missed_by(&answer(500, None, b"a".to_vec())).expect("a status");
        assert_eq!(kind, "status 500", "the status comes first");
    }

    #[test]
    fn a_request_is_encoded_with_its_number_and_its_length() {
        let target: Target = "http://127.0.0.1:1/a?b=c".parse().expect("a target");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("7"));
        let encoded = |method, text: &'static [u8]| {
            let body = Body::new(Bytes::from_static(text), "#");
            let kind = Kind::http(&target, method, headers.clone(), Wanted::Success);
            let call = Call::new(kind, &target, body);
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
        let not_found = answer(404, None, Vec::new());
        assert_eq!(kind(&Wanted::Success, &not_found).as_deref(), Some("status 404"));
        assert_eq!(kind(&Wanted::Status(vec![StatusCode::NOT_FOUND]), &not_found), None);
    }

    #[test]
    fn what_an_error_says_is_one_short_line() {
        let page = answer(404, None, format!("<html>\n  no such\tpage {}", "é".repeat(400)).into());
        let (_, said) = Wanted::Success.missed_by(&page).expect("an error");
        assert!(said.starts_with("<html> no such page éé"), "{said}");
        assert_eq!(said.chars().count(), SAID);
    }

    #[test]
    fn a_call_must_end_well_and_bring_a_message() {
        let Body::Fixed(whole) = Body::grpc(&[b"abc".to_vec()], "#") else { unreachable!() };
        let whole = whole.to_vec();
        let twice = whole.repeat(2);
        let ok = Some("0");
        assert_eq!(kind(&Wanted::GrpcOk, &answer(200, ok, whole.clone())), None);
        for (wrong, said) in [
            (answer(200, ok, whole[..6].to_vec()), "no message"),
            (answer(200, ok, Vec::new()), "no message"),
            (answer(200, ok, twice.clone()), "no message"),
            (answer(200, Some("14"), whole.clone()), "grpc UNAVAILABLE"),
            (answer(200, Some("99"), whole.clone()), "grpc 99"),
            (answer(200, None, whole.clone()), "no grpc-status"),
            (answer(502, ok, whole.clone()), "status 502"),
        ] {
            assert_eq!(kind(&Wanted::GrpcOk, &wrong).as_deref(), Some(said));
        }
        for right in [Vec::new(), whole.clone(), twice.clone()] {
            assert_eq!(kind(&Wanted::GrpcStream, &answer(200, ok, right)), None);
        }
        let cut_off = answer(200, ok, twice[..12].to_vec());
        assert_eq!(kind(&Wanted::GrpcStream, &cut_off).as_deref(), Some("no message"));
    }
}
