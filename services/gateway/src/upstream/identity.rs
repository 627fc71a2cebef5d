//! Who calls, as a service is told it.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use ficus_control_api::subject::{IdentityMode, Subject};
use ficus_rpc::identity::Signer;
use http::HeaderValue;
use prost_reflect::{DynamicMessage, MethodDescriptor, Value};
use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use tonic::metadata::{Ascii, MetadataValue};

use super::{
    codec,
    contract::Contract,
    grpc::{Channel, channel},
};
use crate::error::UpstreamError;

/// A token that was revoked is refused after this long at the latest.
const REMEMBERED: Duration = Duration::from_secs(1);
/// How many tokens are remembered before those that are too old are thrown away.
const TOKENS: usize = 10_000;
/// How long finding out may take.
const PATIENCE: Duration = Duration::from_secs(2);

type Token = MetadataValue<Ascii>;

/// Makes the `authorization` that travels inside from the one that came.
pub enum Identity {
    /// It travels as it came.
    Passthrough,
    /// The token is resolved, and a signed one travels in its place.
    Introspect(Box<Introspection>),
}

impl Identity {
    pub fn new(subject: &Subject, contract: &Contract, signer: &Signer) -> anyhow::Result<Self> {
        if subject.identity.mode == IdentityMode::Passthrough {
            return Ok(Self::Passthrough);
        }
        let introspection = Introspection::new(subject, contract, signer.clone())?;
        Ok(Self::Introspect(introspection.into()))
    }

    /// `None` for nobody, and for a token that names nobody: what that means is the service's to say.
    pub async fn inside(
        &self,
        caller: Option<&HeaderValue>,
    ) -> Result<Option<Token>, UpstreamError> {
        let Some(caller) = caller else { return Ok(None) };
        match self {
            Self::Passthrough => Ok(Token::try_from(caller.as_bytes()).ok()),
            Self::Introspect(introspection) => match bearer(caller) {
                Some(token) => introspection.resolve(token).await,
                None => Ok(None),
            },
        }
    }
}

fn bearer(value: &HeaderValue) -> Option<&str> {
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Asks who a token belongs to, in the manner of RFC 7662.
pub struct Introspection {
    method: MethodDescriptor,
    channel: Channel,
    signer: Signer,
    remembered: Mutex<Tokens>,
}

/// Tokens by their digests: they may be long, and nobody's.
struct Tokens {
    known: HashMap<[u8; 32], Arc<Remembered>>,
    swept: Instant,
}

/// One token; those who ask at the same time wait for one answer.
struct Remembered {
    since: Instant,
    inside: OnceCell<Option<Token>>,
}

impl Introspection {
    fn new(subject: &Subject, contract: &Contract, signer: Signer) -> anyhow::Result<Self> {
        let endpoint = subject.identity.endpoint.as_deref();
        let endpoint =
            endpoint.context("identity.mode is introspect, and identity.endpoint is not set")?;
        let method = contract.rpc(endpoint);
        let method = method.with_context(|| format!("the descriptor set has no RPC {endpoint}"))?;
        let (input, output) = (method.input(), method.output());
        let fits = input.get_field_by_name("token").is_some()
            && ["active", "subject"].iter().all(|name| output.get_field_by_name(name).is_some());
        ensure!(fits, "{endpoint} must take a token and answer active and subject");
        let internal = subject.monolith.internal.as_deref();
        let internal = internal
            .context("identity.endpoint is asked at monolith.internal, which is not set")?;
        let channel = channel(internal, "monolith")?;
        let tokens = Tokens { known: HashMap::new(), swept: Instant::now() };
        Ok(Self { method, channel, signer, remembered: Mutex::new(tokens) })
    }

    async fn resolve(&self, token: &str) -> Result<Option<Token>, UpstreamError> {
        let remembered = self.remembered(token);
        let inside = remembered.inside.get_or_try_init(|| self.ask(token)).await?;
        Ok(inside.clone())
    }

    fn remembered(&self, token: &str) -> Arc<Remembered> {
        let digest = Sha256::digest(token).into();
        let mut all = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        let found = all.known.get(&digest);
        if let Some(found) = found.filter(|found| found.since.elapsed() < REMEMBERED) {
            return found.clone();
        }
        if all.known.len() >= TOKENS && all.swept.elapsed() >= REMEMBERED {
            all.known.retain(|_, old| old.since.elapsed() < REMEMBERED);
            all.swept = Instant::now();
        }
        let new = Arc::new(Remembered { since: Instant::now(), inside: OnceCell::new() });
        all.known.insert(digest, new.clone());
        new
    }

    async fn ask(&self, token: &str) -> Result<Option<Token>, UpstreamError> {
        let mut question = DynamicMessage::new(self.method.input());
        question.set_field_by_name("token", Value::String(token.to_owned()));
        let mut call = tonic::Request::new(question);
        call.set_timeout(PATIENCE);
        let answer = codec::unary(&self.channel, &self.method, call).await;
        let answer = answer.map_err(|status| UpstreamError::Identity(status.into()))?.into_inner();
        self.signed(&answer)
    }

    fn signed(&self, answer: &DynamicMessage) -> Result<Option<Token>, UpstreamError> {
        let active = answer.get_field_by_name("active").and_then(|value| value.as_bool());
        let subject = answer.get_field_by_name("subject");
        let subject = subject.as_ref().and_then(|value| value.as_str());
        let (Some(true), Some(subject)) = (active, subject) else { return Ok(None) };
        let token = self.signer.sign(subject);
        let token = token.map_err(|error| UpstreamError::Identity(error.into()))?;
        Ok(Token::try_from(format!("Bearer {token}")).ok())
    }
}
