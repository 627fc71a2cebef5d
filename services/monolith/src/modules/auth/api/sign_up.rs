//! `trellis.auth.v1.Accounts`.

use axum::extract::State;
use ficus_rpc::json;
use trellis_contracts::auth::v1::{SignUpRequest, SignUpResponse};

use crate::http::{Answer, Contract, Ended};
use crate::modules::auth::store::{NewUser, sign_up as insert};
use crate::modules::auth::{Auth, domain};
use crate::modules::idempotency::{Attempt, Key, reused};
use crate::modules::notifications::News;

/// Neither the password nor the session's token is kept for a replay: the request is remembered
/// without the one, the answer without the other.
pub async fn sign_up(
    State(auth): State<Auth>,
    key: Key,
    Contract(request): Contract<SignUpRequest>,
) -> Result<Answer, Ended> {
    let email = domain::email(&request.email)?;
    let name = domain::name(&request.name)?;
    domain::new_password(&request.password)?;
    let password_hash = auth.passwords.hash(request.password.clone()).await?;

    let mut write = match auth.writes.begin(attempt(&key, &request)).await {
        Ok(write) => write,
        Err(Ended::Replayed(first)) => return replay(&auth, &key, request.password, &first).await,
        Err(refused) => return Err(refused),
    };
    let workspace_name = &domain::first_workspace(name);
    let user = NewUser { email: &email, name, password_hash: &password_hash, workspace_name };
    let made = insert(&mut write, user).await?.ok_or_else(email_taken)?;
    let (user_id, workspace_id) = (made.user_id, made.workspace_id);
    let news = News::SignedUp { user_id, workspace_id, version: made.version };
    let mails = auth.notify.tell(&mut write, &news).await?;

    let token = session(&auth, user_id, &key);
    let kept = SignUpResponse { user_id, workspace_id, token: String::new() };
    let answer = write.answer_keeping(&SignUpResponse { token, ..kept.clone() }, &kept).await?;
    mails.send().await;
    Ok(answer)
}

fn attempt(key: &Key, request: &SignUpRequest) -> Attempt {
    let without_password = SignUpRequest { password: String::new(), ..request.clone() };
    Attempt::sign_up("/trellis.auth.v1.Accounts/SignUp", key.clone(), &without_password)
}

/// Answers a repeated sign-up like the first, if the password is the same.
async fn replay(auth: &Auth, key: &Key, password: String, first: &Answer) -> Result<Answer, Ended> {
    let kept: SignUpResponse = json::decode(first.as_bytes())?;
    let stored = auth.store.password_hash(kept.user_id).await?;
    if !auth.passwords.verify(password, stored).await? {
        return Err(reused().into());
    }
    let token = session(auth, kept.user_id, key);
    Err(Ended::Replayed(Answer::of(&SignUpResponse { token, ..kept })))
}

fn session(auth: &Auth, user_id: i64, key: &Key) -> String {
    match &key.0 {
        Some(key) => auth.sessions.open_for(user_id, key),
        None => auth.sessions.open(user_id),
    }
}

fn email_taken() -> ficus_rpc::Error {
    ficus_rpc::Error::conflict("email_taken", "somebody has signed up with this address")
}
