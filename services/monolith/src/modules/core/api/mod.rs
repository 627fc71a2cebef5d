//! Core's routes, one file a service.

mod comments;
mod projects;
mod tasks;

use axum::Router;
use axum::routing::{get, post};
use ficus_rpc::Error;

use super::Core;

/// Every annotated RPC of `trellis.core.v1`.
pub fn routes() -> Router<Core> {
    Router::new()
        .route("/v1/workspaces/{workspace_id}/projects", post(projects::create).get(projects::list))
        .route("/v1/projects/{project_id}/tasks", post(tasks::create).get(tasks::list))
        .route("/v1/tasks/{task_id}", get(tasks::get).patch(tasks::update))
        .route("/v1/tasks/{task_id}/comments", post(comments::create).get(comments::list))
}

/// There is no such thing, or it is in none of the caller's workspaces.
fn not_found() -> Error {
    Error::not_found("not_found", "there is no such thing in your workspaces")
}
