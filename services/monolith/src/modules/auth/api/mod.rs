//! Auth's routes, one file a group.

mod inside;
mod members;
mod sign_in;
mod sign_up;
mod workspaces;

use axum::Router;
use axum::routing::post;

use super::Auth;

pub use inside::Inside;

/// Every annotated RPC of `trellis.auth.v1`.
pub fn routes() -> Router<Auth> {
    Router::new()
        .route("/v1/sign-up", post(sign_up::sign_up))
        .route("/v1/sign-in", post(sign_in::sign_in))
        .route("/v1/sign-out", post(sign_in::sign_out))
        .route("/v1/workspaces", post(workspaces::create).get(workspaces::list))
        .route("/v1/workspaces/{workspace_id}/members", post(members::add).get(members::list))
}
