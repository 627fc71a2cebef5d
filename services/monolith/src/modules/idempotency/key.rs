//! The caller's name for one write.

use axum::extract::FromRequestParts;
use ficus_rpc::{Error, IDEMPOTENCY_KEY};
use http::request::Parts;

use crate::http::Ended;

/// The header `Idempotency-Key`, where there is one.
#[derive(Clone, Debug, Default)]
pub struct Key(pub Option<String>);

impl<S: Sync> FromRequestParts<S> for Key {
    type Rejection = Ended;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Ended> {
        let Some(value) = parts.headers.get(IDEMPOTENCY_KEY) else { return Ok(Self(None)) };
        let text = value
            .to_str()
            .map_err(|_| Error::invalid("bad_request", "Idempotency-Key must be ASCII"))?;
        read(text).map_err(Ended::from)
    }
}

fn read(text: &str) -> Result<Key, Error> {
    match text.len() {
        0 => Ok(Key(None)),
        1..=255 => Ok(Key(Some(text.to_owned()))),
        _ => Err(Error::invalid(
            "idempotency_key_too_long",
            "an Idempotency-Key has at most 255 characters",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn a_key_has_at_most_255_characters() {
        assert!(read(&"k".repeat(255)).is_ok_and(|key| key.0.is_some()));
        assert!(read(&"k".repeat(256)).is_err_and(|e| e.code == "idempotency_key_too_long"));
    }
}
