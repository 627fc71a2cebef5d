//! The verifying half, held by every service.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};

use bytes::Bytes;
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
    url: Option<http::Uri>,
    keys: RwLock<HashMap<String, DecodingKey>>,
    fetched: tokio::sync::Mutex<Option<Instant>>,
    validation: Validation,
}

/// The keys could not be fetched, so nobody knows whether the token is good.
#[derive(Debug, thiserror::Error)]
#[error("failed to fetch the signing keys: {0}")]
pub struct KeysUnavailable(String);

impl Verifier {
    /// Fetches keys from this URL, a JWK set over plain HTTP.
    pub fn fetching(url: http::Uri) -> Self {
        Self::new(Some(url), HashMap::new())
    }

    /// Knows these keys and no others.
    pub fn with_keys(set: &JwkSet) -> Self {
        Self::new(None, usable(set))
    }

    fn new(url: Option<http::Uri>, keys: HashMap<String, DecodingKey>) -> Self {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.algorithms = vec![Algorithm::EdDSA];
        validation.set_required_spec_claims(&["exp", "nbf", "aud", "iss", "sub"]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_issuer(&[ISSUER]);
        validation.validate_nbf = true;
        validation.leeway = 5;
        Self(Arc::new(Inner {
            url,
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
            self.fetch().await?;
            key = self.key(&kid);
        }
        let Some(key) = key else { return Ok(None) };
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &self.0.validation).ok();
        Ok(claims.and_then(|data| data.claims.sub.parse().ok()).map(|user_id| Caller { user_id }))
    }

    fn key(&self, kid: &str) -> Option<DecodingKey> {
        self.0.keys.read().ok()?.get(kid).cloned()
    }

    async fn fetch(&self) -> Result<(), KeysUnavailable> {
        let Some(url) = self.0.url.clone() else { return Ok(()) };
        let mut fetched = self.0.fetched.lock().await;
        if fetched.is_some_and(|at| at.elapsed() < REFETCH) {
            return Ok(());
        }
        let set = tokio::time::timeout(PATIENCE, get(url))
            .await
            .map_err(|_| KeysUnavailable(format!("no answer within {PATIENCE:?}")))??;
        if let Ok(mut keys) = self.0.keys.write() {
            *keys = usable(&set);
        }
        *fetched = Some(Instant::now());
        Ok(())
    }
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
