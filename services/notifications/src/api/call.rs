//! What stands around every RPC: who calls, under which key, within what time, and how the answer or the
//! refusal goes out.

use std::sync::Arc;
use std::time::Duration;

use ficus_pg::progress;
use ficus_rpc::identity::Verifier;
use ficus_rpc::{Error as Refusal, IDEMPOTENCY_KEY};
use tokio::sync::Semaphore;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};

use crate::error::Error;

/// After this long a request is given up; its transaction rolls back.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// One call that was let in.
pub struct Call<M> {
    /// The RPC's path, as `/trellis.notifications.v1.Inbox/MarkRead`.
    pub method: &'static str,
    pub user_id: i64,
    /// The caller's name for a write.
    pub key: Option<String>,
    pub message: M,
}

/// So many requests at a time; of more than these each would only wait for the database.
const UNDER_WAY: usize = 256;

/// Who lets requests in.
#[derive(Clone)]
pub struct Entrance {
    verifier: Verifier,
    places: Arc<Semaphore>,
}

impl Entrance {
    /// Lets those in whom the verifier knows.
    pub fn new(verifier: Verifier) -> Self {
        Self { verifier, places: Arc::new(Semaphore::new(UNDER_WAY)) }
    }
}

/// Lets a request in, runs it and answers it.
pub async fn answer<M, A, F, R>(
    entrance: &Entrance,
    method: &'static str,
    request: Request<M>,
    run: F,
) -> Result<Response<A>, Status>
where
    F: FnOnce(Call<M>) -> R,
    R: Future<Output = Result<Response<A>, Error>>,
{
    progress::scope(async {
        let handled = tokio::time::timeout(TIME_LIMIT, async {
            let _place = entrance.places.try_acquire().map_err(|_| busy())?;
            run(let_in(&entrance.verifier, method, request).await?).await
        });
        match handled.await {
            Ok(outcome) => outcome.map_err(|error| error.told(method)),
            Err(_) => Err(Refusal::deadline("deadline", "failed to answer in time; try again")),
        }
    })
    .await
    .map_err(Status::from)
}

async fn let_in<M>(
    verifier: &Verifier,
    method: &'static str,
    request: Request<M>,
) -> Result<Call<M>, Refusal> {
    let token = bearer(request.metadata()).ok_or_else(Refusal::unauthenticated)?;
    let caller = verifier.verify(token).await.map_err(|error| {
        tracing::warn!(%error, "callers cannot be known");
        Refusal::unavailable("unavailable", "failed to reach the owner; try again")
    })?;
    let user_id = caller.ok_or_else(Refusal::unauthenticated)?.user_id;
    let key = key(request.metadata())?;
    Ok(Call { method, user_id, key, message: request.into_inner() })
}

fn busy() -> Refusal {
    Refusal::unavailable("busy", "too many requests are under way; try again")
}

fn bearer(metadata: &MetadataMap) -> Option<&str> {
    let (scheme, token) = text(metadata, "authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn key(metadata: &MetadataMap) -> Result<Option<String>, Refusal> {
    let Some(value) = metadata.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let text = value
        .to_str()
        .map_err(|_| Refusal::invalid("bad_request", "Idempotency-Key must be ASCII"))?;
    match text.len() {
        0 => Ok(None),
        1..=255 => Ok(Some(text.to_owned())),
        _ => Err(Refusal::invalid(
            "idempotency_key_too_long",
            "an Idempotency-Key has at most 255 characters",
        )),
    }
}

fn text<'a>(metadata: &'a MetadataMap, name: &str) -> Option<&'a str> {
    metadata.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn metadata(name: &'static str, value: &str) -> MetadataMap {
        let mut metadata = MetadataMap::new();
        metadata.insert(name, value.parse().unwrap());
        metadata
    }

    #[test]
    fn a_bearer_token_is_asked_for() {
        assert_eq!(bearer(&metadata("authorization", "Bearer abc")), Some("abc"));
        assert_eq!(bearer(&metadata("authorization", "bearer abc")), Some("abc"));
        assert_eq!(bearer(&metadata("authorization", "Basic abc")), None);
        assert_eq!(bearer(&MetadataMap::new()), None);
    }

    #[test]
    fn a_key_has_at_most_255_characters() {
        let of = |length| key(&metadata("idempotency-key", &"k".repeat(length)));
        assert_eq!(of(0).unwrap(), None);
        assert!(of(255).unwrap().is_some());
        assert_eq!(of(256).unwrap_err().code, "idempotency_key_too_long");
    }
}
