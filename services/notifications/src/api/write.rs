//! A write that was answered is not done again: the caller's key and the answer are committed with it.

use ficus_pg::Transaction;
use ficus_rpc::{Error as Refusal, IDEMPOTENT_REPLAYED, json};
use prost::Message;
use prost_reflect::ReflectMessage;
use sha2::{Digest, Sha256};
use tonic::Response;
use tonic::metadata::MetadataValue;

use super::call::Call;
use crate::error::Error;
use crate::store::{self, idempotency};

/// How a write begins.
pub enum Begun<A> {
    /// It is to be done.
    Fresh(Write),
    /// It was done before under this key; this is what was answered then.
    Replayed(Response<A>),
}

/// A write under way, which ends by its answer.
#[must_use = "a write that is not answered is rolled back"]
pub struct Write {
    pub tx: Transaction,
    kept: Option<(String, String)>,
}

/// Begins the write that a call asks for. One with the key of a write under way waits for that.
pub async fn begin<M, A>(pool: &store::Pool, call: &Call<M>) -> Result<Begun<A>, Error>
where
    M: Message,
    A: ReflectMessage + Default,
{
    let mut tx = ficus_pg::begin(pool, call.method).await?;
    let Some(key) = call.key.clone() else {
        return Ok(Begun::Fresh(Write { tx, kept: None }));
    };
    let scope = format!("user-{}", call.user_id);
    let hash = request_hash(call.method, &call.message);
    let Some(stored) = idempotency::take(&mut tx, &scope, &key, &hash).await? else {
        return Ok(Begun::Fresh(Write { tx, kept: Some((scope, key)) }));
    };
    if stored.request_hash != hash {
        return Err(reused().into());
    }
    let mut response = Response::new(json::decode(&stored.answer)?);
    response.metadata_mut().insert(IDEMPOTENT_REPLAYED, MetadataValue::from_static("true"));
    Ok(Begun::Replayed(response))
}

impl Write {
    /// Commits, and answers with `message`.
    pub async fn answer<A: ReflectMessage>(mut self, message: A) -> Result<Response<A>, Error> {
        if let Some((scope, key)) = &self.kept {
            idempotency::keep(&mut self.tx, scope, key, &json::encode(&message)).await?;
        }
        self.tx.commit().await?;
        Ok(Response::new(message))
    }
}

/// The same on both sides of a move, because the rows move.
fn request_hash(method: &str, message: &impl Message) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(method);
    hash.update(message.encode_to_vec());
    hash.finalize().to_vec()
}

fn reused() -> Refusal {
    Refusal::unprocessable("idempotency_key_reused", "this Idempotency-Key named another request")
}
