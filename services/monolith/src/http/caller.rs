//! Who calls.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use ficus_rpc::Error;
use http::header;
use http::request::Parts;

use super::Ended;
use crate::modules::auth::Sessions;

/// The person whose session the request is made with.
#[derive(Clone, Debug)]
pub struct Caller {
    pub user_id: i64,
    /// The session's token.
    pub token: String,
}

impl<S> FromRequestParts<S> for Caller
where
    Arc<Sessions>: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Ended;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Ended> {
        let token = bearer(parts).ok_or_else(Error::unauthenticated)?;
        let user_id =
            Arc::<Sessions>::from_ref(state).person(token).ok_or_else(Error::unauthenticated)?;
        Ok(Self { user_id, token: token.to_owned() })
    }
}

fn bearer(parts: &Parts) -> Option<&str> {
    let value = parts.headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
