//! Who calls, as it travels inside: a token signed with Ed25519 that lives 60 s, a load tester's as long as its run (JWT,
//! RFC 7519; EdDSA, RFC 8037), and the public keys (JWK set, RFC 7517) by which services verify it.

mod signer;
mod verifier;

pub use signer::Signer;
pub use verifier::{KeysUnavailable, Verifier};

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Who signs.
const ISSUER: &str = "ficus-gateway";
/// For whom.
const AUDIENCE: &str = "ficus-inside";
/// How long a token lives.
const LIFETIME: Duration = Duration::from_mins(1);

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
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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

    #[tokio::test]
    async fn keys_are_of_everybody_who_signs_and_one_who_is_away_is_no_reason_to_refuse() {
        let signers = [0, 1].map(|_| Signer::generate(Clock::system()));
        let [one, other] = signers.each_ref().map(|signer| signer.sign("42").expect("a token"));
        let (first, second) = (serving(&signers[0]).await, serving(&signers[1]).await);
        let both = Verifier::fetching(vec![first.clone(), second]);
        for token in [&one, &other] {
            let caller = both.verify(token).await.expect("keys are at hand");
            assert_eq!(caller, Some(Caller { user_id: 42 }));
        }

        // Nobody listens on the discard port.
        let away = "http://127.0.0.1:9/".parse().expect("a URL");
        let verifier = Verifier::fetching(vec![away, first]);
        let caller = verifier.verify(&one).await.expect("its key is at hand");
        assert_eq!(caller, Some(Caller { user_id: 42 }));
        for _ in 0..2 {
            // It may be of the one who is away.
            assert!(verifier.verify(&other).await.is_err());
        }
    }

    /// Where the signer's keys are served.
    async fn serving(signer: &Signer) -> http::Uri {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let keys = signer.jwks();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", keys.len());
                let answer = [head.as_bytes(), &keys].concat();
                let mut asked = [0; 1_024];
                let _ = stream.read(&mut asked).await;
                let _ = stream.write_all(&answer).await;
            }
        });
        format!("http://{address}/").parse().expect("a URL")
    }

    fn keys(signer: &Signer) -> JwkSet {
        serde_json::from_slice(&signer.jwks()).expect("a JWK set")
    }
}
