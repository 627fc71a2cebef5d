//! What the other side speaks, by the first bytes that it sends.

/// A protocol that may be met where another one was expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    Http1,
    Http2,
    Tls,
}

impl Spoken {
    /// None if these are no protocol's that is known, or too few to tell.
    pub fn of(first: &[u8]) -> Option<Self> {
        match first {
            [b'H', b'T', b'T', b'P', ..] => Some(Self::Http1),
            // A server begins with settings, a frame of kind 4 (RFC 9113, 3.4 and 6.5).
            [0, 0, _, 4, ..] => Some(Self::Http2),
            // An alert (RFC 8446, 5.1 and 6): it was not greeted as it wants to be.
            [0x15, 3, ..] => Some(Self::Tls),
            _ => None,
        }
    }

    /// For somebody who expected HTTP/1.1.
    pub fn instead_of_http1(self) -> Option<&'static str> {
        match self {
            Self::Http1 => None,
            Self::Http2 => {
                Some("it speaks HTTP/2; say grpc://host:port/package.Service/Method if it is gRPC")
            }
            Self::Tls => Some("it speaks TLS; say https://"),
        }
    }

    /// For somebody who expected HTTP/2.
    pub fn instead_of_http2(self) -> Option<&'static str> {
        match self {
            Self::Http1 => Some("it speaks HTTP/1.1; say http://"),
            Self::Http2 => None,
            Self::Tls => Some("it speaks TLS; say grpcs://"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Spoken;

    #[test]
    fn a_protocol_is_known_by_how_it_begins() {
        assert_eq!(Spoken::of(b"HTTP/1.1 400 Bad Request\r\n"), Some(Spoken::Http1));
        assert_eq!(Spoken::of(&[0, 0, 18, 4, 0, 0, 0, 0, 0]), Some(Spoken::Http2));
        assert_eq!(Spoken::of(&[0x15, 3, 3, 0, 2, 2, 70]), Some(Spoken::Tls));
        assert_eq!(Spoken::of(b"SSH-2.0"), None);
        assert_eq!(Spoken::of(b""), None);
    }
}
