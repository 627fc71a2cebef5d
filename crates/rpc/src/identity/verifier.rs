//! The verifying half, held by every service.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::future::join_all;
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, jwk::JwkSet};

use super::{AUDIENCE, Caller, Claims, ISSUER};

/// The keys are asked for at most this often, whatever tokens come in.
const REFETCH: Duration = Duration::from_millis(500);
/// How long the keys' holder may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Verifies tokens by keys that it fetches when it meets an unknown one.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    urls: Vec<http::Uri>,
    /// Of each URL what it said last.
    keys: RwLock<Vec<HashMap<String, DecodingKey>>>,
    fetched: tokio::sync::Mutex<Option<Fetched>>,
    validation: Validation,
}

/// When keys were fetched last, and whose could not be.
struct Fetched {
    at: Instant,
    missing: Result<(), KeysUnavailable>,
}

/// The keys could not be fetched, so nobody knows whether the token is good.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to fetch the signing keys: {0}")]
pub struct KeysUnavailable(String);

impl Verifier {
    /// Fetches keys from these URLs, a JWK set over plain HTTP each: one for everybody who signs.
    pub fn fetching(urls: Vec<http::Uri>) -> Self {
        let keys = urls.iter().map(|_| HashMap::new()).collect();
        Self::new(urls, keys)
    }

    /// Knows these keys and no others.
    pub fn with_keys(set: &JwkSet) -> Self {
        Self::new(Vec::new(), vec![usable(set)])
    }

    fn new(urls: Vec<http::Uri>, keys: Vec<HashMap<String, DecodingKey>>) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.algorithms = vec![Algorithm::EdDSA];
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.validate_nbf = true;
        validation.leeway = 5;
        Self(Arc::new(Inner {
            urls,
            keys: RwLock::new(keys),
            fetched: tokio::sync::Mutex::new(None),
            validation,
        }))
    }

    /// Who the token names; `None` when it is not one of ours, not valid now, or damaged.
    pub async fn verify(&self, token: &str) -> Result<Option<Caller>, KeysUnavailable> {
        let header = jsonwebtoken::decode_header(token).ok();
        let Some(kid) = header.and_then(|header| header.kid) else { return Ok(None) };
        let mut key = self.key(&kid);
        if key.is_none() {
            let fetched = self.fetch().await;
            key = self.key(&kid);
            if key.is_none() {
                fetched?;
            }
        }
        let Some(key) = key else { return Ok(None) };
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &self.0.validation).ok();
        Ok(claims.and_then(|data| data.claims.sub.parse().ok()).map(|user_id| Caller { user_id }))
    }

    fn key(&self, kid: &str) -> Option<DecodingKey> {
        self.0.keys.read().ok()?.iter().find_map(|keys| keys.get(kid)).cloned()
    }

    /// Who signs may be away while others do: what was known of them stays, and of a key that is not found then it is
    /// not known whether it is theirs.
    async fn fetch(&self) -> Result<(), KeysUnavailable> {
        if self.0.urls.is_empty() {
            return Ok(());
        }
        let mut fetched = self.0.fetched.lock().await;
        if let Some(last) = fetched.as_ref().filter(|last| last.at.elapsed() < REFETCH) {
            return last.missing.clone();
        }
        let answers = join_all(self.0.urls.iter().cloned().map(asked)).await;
        let mut missing = Ok(());
        let mut found = false;
        if let Ok(mut keys) = self.0.keys.write() {
            for (keys, answer) in keys.iter_mut().zip(answers) {
                match answer {
                    Ok(set) => {
                        *keys = usable(&set);
                        found = true;
                    }
                    Err(error) => missing = Err(error),
                }
            }
        }
        // Where nobody answered, the next one asks again.
        *fetched = found.then(|| Fetched { at: Instant::now(), missing: missing.clone() });
        missing
    }
}

async fn asked(url: http::Uri) -> Result<JwkSet, KeysUnavailable> {
    let answer = tokio::time::timeout(PATIENCE, get(url)).await;
    answer.unwrap_or_else(|_| Err(KeysUnavailable(format!("no answer within {PATIENCE:?}"))))
}

async fn get(url: http::Uri) -> Result<JwkSet, KeysUnavailable> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let unavailable = |error: &dyn std::fmt::Display| KeysUnavailable(error.to_string());
    let response = client.get(url).await.map_err(|error| unavailable(&error))?;
    if !response.status().is_success() {
        return Err(KeysUnavailable(format!("status {}", response.status())));
    }
    let body = response.into_body().collect().await.map_err(|error| unavailable(&error))?;
    serde_json::from_slice(&body.to_bytes()).map_err(|error| unavailable(&error))
}

/// The keys that verify: with an id, and of the one algorithm.
fn usable(set: &JwkSet) -> HashMap<String, DecodingKey> {
    set.keys
        .iter()
        .filter(|key| key.common.key_algorithm.is_none_or(|a| a.to_string() == "EdDSA"))
        .filter_map(|key| Some((key.common.key_id.clone()?, DecodingKey::from_jwk(key).ok()?)))
        .collect()
}
