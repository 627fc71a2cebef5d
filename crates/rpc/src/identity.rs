//! Who calls, as it travels inside: a token signed with Ed25519 that lives 60 s (JWT, RFC 7519; EdDSA,
//! RFC 8037), and the public keys (JWK set, RFC 7517) by which services verify it.

mod signer;
mod verifier;

pub use signer::Signer;
pub use verifier::{KeysUnavailable, Verifier};

use serde::{Deserialize, Serialize};

/// Who signs.
const ISSUER: &str = "ficus-gateway";
/// For whom.
const AUDIENCE: &str = "ficus-inside";
/// Seconds that a token lives.
const LIFETIME: i64 = 60;

/// Somebody whose token was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub user_id: i64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: i64,
    nbf: i64,
    exp: i64,
}

#[cfg(test)]
mod tests {
    use ficus_process::Clock;
    use jsonwebtoken::jwk::JwkSet;

    use super::*;

    #[tokio::test]
    async fn a_signed_token_names_its_subject() {
        let signer = Signer::generate(Clock::system());
        let verifier = Verifier::with_keys(&keys(&signer));
        let token = signer.sign("42").expect("a token");
        let caller = verifier.verify(&token).await.expect("keys are at hand");
        assert_eq!(caller, Some(Caller { user_id: 42 }));
    }

    #[tokio::test]
    async fn tokens_of_others_or_of_yesterday_are_refused() {
        let signer = Signer::generate(Clock::system());
        let verifier = Verifier::with_keys(&keys(&signer));
        let stranger = Signer::generate(Clock::system()).sign("42").expect("a token");
        assert_eq!(verifier.verify(&stranger).await.expect("keys are at hand"), None);

        let yesterday = Clock::system().now() - chrono::Duration::days(1);
        let old = signer.at(Clock::fixed(yesterday)).sign("42").expect("a token");
        assert_eq!(verifier.verify(&old).await.expect("keys are at hand"), None);

        let token = signer.sign("42").expect("a token");
        let (head, signature) = token.rsplit_once('.').expect("three parts");
        for forged in
            [String::new(), head.to_owned(), format!("{head}."), format!("{head}.A{signature}")]
        {
            assert_eq!(verifier.verify(&forged).await.expect("keys are at hand"), None, "{forged}");
        }
    }

    fn keys(signer: &Signer) -> JwkSet {
        serde_json::from_slice(&signer.jwks()).expect("a JWK set")
    }
}
