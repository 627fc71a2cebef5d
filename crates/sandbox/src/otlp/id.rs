//! Identifiers of traces and spans: bytes, written in hexadecimal digits.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Not all zero (W3C Trace Context, 3.2.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id<const N: usize>([u8; N]);

pub type TraceId = Id<16>;
pub type SpanId = Id<8>;

#[derive(Debug, thiserror::Error)]
#[error("an id is {0} hexadecimal digits, not all zero")]
pub struct NoId(usize);

impl<const N: usize> Id<N> {
    /// `None` unless these are `N` bytes, not all zero.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; N] = bytes.try_into().ok()?;
        bytes.iter().any(|byte| *byte != 0).then_some(Self(bytes))
    }
}

impl<const N: usize> FromStr for Id<N> {
    type Err = NoId;

    /// Leading zeros may be absent.
    fn from_str(text: &str) -> Result<Self, NoId> {
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.len() <= 2 * N;
        let number = digits.then(|| u128::from_str_radix(text, 16));
        let number = number.and_then(Result::ok).unwrap_or(0).to_be_bytes();
        Self::from_bytes(&number[number.len() - N..]).ok_or(NoId(2 * N))
    }
}

impl<const N: usize> fmt::Display for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl<const N: usize> fmt::Debug for Id<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl<const N: usize> Serialize for Id<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
        }
        let text = str::from_utf8(&digits[..2 * N]).expect("hexadecimal digits are ASCII");
        serializer.serialize_str(text)
    }
}

fn digit(nibble: u8) -> u8 {
    b"0123456789abcdef"[usize::from(nibble)]
}

impl<'de, const N: usize> Deserialize<'de> for Id<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_it_is_read() {
        let id: SpanId = "00f067aa0ba902b7".parse().expect("an id");
        assert_eq!(id.to_string(), "00f067aa0ba902b7");
        assert_eq!(serde_json::to_string(&id).expect("JSON"), "\"00f067aa0ba902b7\"");
        assert_eq!("f067aa0ba902b7".parse::<SpanId>().expect("leading zeros are left out"), id);
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "0", "0000000000000000", "00f067aa0ba902b7a", "+1", "xyz", "é"] {
            assert!(text.parse::<SpanId>().is_err(), "{text}");
        }
        assert_eq!(SpanId::from_bytes(&[0; 8]), None);
        assert_eq!(SpanId::from_bytes(&[1; 16]), None);
    }
}
