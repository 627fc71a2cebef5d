//! Randomness for secrets and jitter.
#![expect(clippy::disallowed_methods, reason = "the one place that draws randomness")]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::{Rng, RngCore};

/// Random bytes from a generator fit for secrets.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// A secret of 256 bits as 43 characters of base64url.
pub fn token() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<32>())
}

/// A number in `0.0..1.0`, for jitter.
pub fn unit() -> f64 {
    rand::rng().random()
}
