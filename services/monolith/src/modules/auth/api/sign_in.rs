//! `trellis.auth.v1.Sessions`, as far as it is public. Both are safe to repeat, so a key is accepted and
//! not needed: nothing is written.

use axum::extract::State;
use ficus_rpc::{Error, Kind};
use trellis_contracts::auth::v1::{SignInRequest, SignInResponse, SignOutRequest, SignOutResponse};

use crate::http::{Answer, Caller, Contract, Ended};
use crate::modules::auth::{Auth, domain};
use crate::modules::idempotency::Key;

/// Opens a session.
pub async fn sign_in(
    State(auth): State<Auth>,
    _: Key,
    Contract(request): Contract<SignInRequest>,
) -> Result<Answer, Ended> {
    let email = domain::email(&request.email).map_err(|_| wrong())?;
    let credentials = auth.store.credentials(&email).await?;
    let (user_id, hash) = credentials.map(|c| (c.user_id, c.password_hash)).unzip();
    let right = auth.passwords.verify(request.password, hash).await?;
    let user_id = user_id.filter(|_| right).ok_or_else(wrong)?;
    Ok(Answer::of(&SignInResponse { user_id, token: auth.sessions.open(user_id) }))
}

/// Ends the caller's session.
pub async fn sign_out(
    State(auth): State<Auth>,
    caller: Caller,
    _: Key,
    Contract(_): Contract<SignOutRequest>,
) -> Answer {
    auth.sessions.close(&caller.token);
    Answer::of(&SignOutResponse {})
}

fn wrong() -> Error {
    Error {
        kind: Kind::Unauthenticated,
        code: "bad_credentials".into(),
        detail: "the address or the password is wrong".to_owned(),
    }
}
