//! Frames of HTTP/2 (RFC 9113, 4 and 6), and headers as HPACK has them (RFC 7541).

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use http::{HeaderName, HeaderValue};

/// What a client says first.
pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// What a frame may hold unless its receiver says that it may be more.
pub(super) const MAX_FRAME: usize = 16_384;
const HEAD: usize = 9;

/// The types that matter to a client.
pub(super) mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

pub(super) mod flag {
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

pub(super) mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 1;
    pub const ENABLE_PUSH: u16 = 2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    pub const MAX_FRAME_SIZE: u16 = 5;
}

/// A frame, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    pub kind: u8,
    pub flags: u8,
    /// 0 is the connection.
    pub stream: u32,
    pub payload: Bytes,
}

/// What is wrong with what came.
pub(super) type Wrong = &'static str;

impl Frame {
    /// Takes the next one out; nothing while it is not whole.
    pub fn take(read: &mut BytesMut) -> Result<Option<Self>, Wrong> {
        let Some(mut head) = read.get(..HEAD) else { return Ok(None) };
        let length = usize::try_from(head.get_uint(3)).unwrap_or(usize::MAX);
        let (kind, flags, stream) = (head.get_u8(), head.get_u8(), head.get_u32() & 0x7fff_ffff);
        if length > MAX_FRAME {
            return Err("a frame is larger than may be");
        }
        if read.len() < HEAD + length {
            return Ok(None);
        }
        read.advance(HEAD);
        Ok(Some(Self { kind, flags, stream, payload: read.split_to(length).freeze() }))
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// What is left of DATA or HEADERS without padding and priority.
    pub fn content(&self) -> Result<Bytes, Wrong> {
        let mut content = self.payload.clone();
        let mut padding = 0;
        if self.has(flag::PADDED) {
            padding = usize::from(content.try_get_u8().map_err(|_| "a frame has no padding")?);
        }
        if self.kind == kind::HEADERS && self.has(flag::PRIORITY) {
            content.try_get_u32().map_err(|_| "a frame has no priority")?;
            content.try_get_u8().map_err(|_| "a frame has no priority")?;
        }
        let length = content.len().checked_sub(padding).ok_or("a frame is all padding")?;
        content.truncate(length);
        Ok(content)
    }

    /// A payload that is one number of 31 bits or more.
    pub fn number(&self) -> Result<u32, Wrong> {
        self.payload.clone().try_get_u32().map_err(|_| "a frame is too short")
    }

    /// Of SETTINGS.
    pub fn settings(&self) -> impl Iterator<Item = (u16, u32)> {
        let mut payload = self.payload.clone();
        std::iter::from_fn(move || Some((payload.try_get_u16().ok()?, payload.try_get_u32().ok()?)))
    }
}

/// Puts a frame behind what is there.
pub(super) fn put(into: &mut BytesMut, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
    into.put_slice(&length);
    into.put_slice(&[kind, flags]);
    into.put_u32(stream);
    into.put_slice(payload);
}

/// Puts what is not in HPACK's table of names, nor is to be in the one that grows: each request is encoded by itself.
pub(super) fn put_header(into: &mut Vec<u8>, name: &HeaderName, value: &HeaderValue) {
    into.push(0);
    put_text(into, name.as_str().as_bytes());
    put_text(into, value.as_bytes());
}

/// A name by its place in the fixed table, and a value.
pub(super) fn put_known(into: &mut Vec<u8>, place: u8, value: &[u8]) {
    into.push(place);
    put_text(into, value);
}

/// RFC 7541, 5.2, without Huffman's code.
fn put_text(into: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text.len();
    if rest < 127 {
        into.push(u8::try_from(rest).unwrap_or_default());
    } else {
        into.push(127);
        rest -= 127;
        while rest >= 128 {
            into.push(u8::try_from(rest % 128).unwrap_or_default() | 128);
            rest /= 128;
        }
        into.push(u8::try_from(rest).unwrap_or_default());
    }
    into.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_taken_when_it_is_whole() {
        let mut bytes = BytesMut::new();
        put(&mut bytes, kind::PING, 0, 0, b"12345678");
        put(&mut bytes, kind::DATA, flag::END_STREAM, 5, b"abc");
        let rest = bytes.split_off(20);
        let ping = Frame::take(&mut bytes).expect("sound").expect("whole");
        assert_eq!((ping.kind, &*ping.payload), (kind::PING, &b"12345678"[..]));
        assert_eq!(Frame::take(&mut bytes), Ok(None));
        bytes.unsplit(rest);
        let data = Frame::take(&mut bytes).expect("sound").expect("whole");
        assert_eq!((data.stream, data.has(flag::END_STREAM)), (5, true));
        assert_eq!(data.content().as_deref(), Ok(&b"abc"[..]));
        assert!(bytes.is_empty());
        assert!(Frame::take(&mut BytesMut::from(&b"HTTP/1.1 400 Bad Request"[..])).is_err());
    }

    #[test]
    fn padding_and_priority_are_no_content() {
        let frame = |kind, flags, payload: &'static [u8]| Frame {
            kind,
            flags,
            stream: 1,
            payload: Bytes::from_static(payload),
        };
        let padded = frame(kind::DATA, flag::PADDED, b"\x02abc\0\0");
        assert_eq!(padded.content().as_deref(), Ok(&b"abc"[..]));
        let both = frame(kind::HEADERS, flag::PADDED | flag::PRIORITY, b"\x01\0\0\0\0\x10abc\0");
        assert_eq!(both.content().as_deref(), Ok(&b"abc"[..]));
        for wrong in [&b"\x05abc"[..], b""] {
            assert!(frame(kind::DATA, flag::PADDED, wrong).content().is_err());
        }
        assert!(frame(kind::HEADERS, flag::PRIORITY, b"\0\0\0\0").content().is_err());
    }

    #[test]
    fn headers_are_read_as_they_were_written() {
        let long = "v".repeat(300);
        let name = HeaderName::from_static("authorization");
        let mut block = vec![0x83];
        put_known(&mut block, 4, b"/a.B/C");
        put_header(&mut block, &name, &HeaderValue::from_str(&long).expect("a value"));
        let read = loona_hpack::Decoder::new().decode(&block).expect("headers");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let read: Vec<_> = read.iter().map(|(name, value)| (text(name), text(value))).collect();
        let wanted = [(":method", "POST"), (":path", "/a.B/C"), ("authorization", &long)];
        assert_eq!(read, wanted.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
