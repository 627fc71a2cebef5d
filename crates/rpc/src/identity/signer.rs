//! The signing half, held by the gateway.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use ficus_process::{Clock, random};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

use super::{AUDIENCE, Claims, ISSUER, LIFETIME};

/// Signs who calls. The key is made at start and never leaves the process.
#[derive(Clone)]
pub struct Signer {
    key: Arc<EncodingKey>,
    kid: Arc<str>,
    public: Arc<str>,
    clock: Clock,
}

impl Signer {
    /// A signer with a new key.
    pub fn generate(clock: Clock) -> Self {
        // The library's own generator measures the processor's jitter for 50 ms before it gives its first byte.
        let seed = random::bytes::<32>();
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).expect("a seed has 32 bytes");
        let pkcs8 = pair.to_pkcs8v1().expect("a key that was just made can be written");
        let public = URL_SAFE_NO_PAD.encode(pair.public_key().as_ref());
        Self {
            key: Arc::new(EncodingKey::from_ed_der(pkcs8.as_ref())),
            kid: public[..16].into(),
            public: public.into(),
            clock,
        }
    }

    /// The same key under another clock.
    #[must_use]
    pub fn at(&self, clock: Clock) -> Self {
        Self { clock, ..self.clone() }
    }

    /// A token for this subject, valid for 60 s.
    pub fn sign(&self, subject: &str) -> Result<String, jsonwebtoken::errors::Error> {
        self.sign_for(subject, LIFETIME)
    }

    /// A token for this subject that is valid for so long, in whole seconds.
    pub fn sign_for(
        &self,
        subject: &str,
        lifetime: Duration,
    ) -> Result<String, jsonwebtoken::errors::Error> {
        let now = self.clock.now().timestamp();
        let lifetime = i64::try_from(lifetime.as_secs()).unwrap_or_default();
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: subject.to_owned(),
            iat: now,
            nbf: now,
            exp: now.saturating_add(lifetime),
        };
        let header = Header { kid: Some(self.kid.to_string()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims, &self.key)
    }

    /// The public key as a JWK set, for `/.well-known/jwks.json`.
    pub fn jwks(&self) -> Vec<u8> {
        let key = json!({
            "kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA",
            "kid": &*self.kid, "x": &*self.public,
        });
        json!({ "keys": [key] }).to_string().into_bytes()
    }
}
