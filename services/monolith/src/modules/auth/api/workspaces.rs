//! `trellis.auth.v1.Workspaces`: the workspaces themselves.

use axum::extract::State;
use trellis_contracts::auth::v1::{
    CreateWorkspaceRequest, ListWorkspacesRequest, ListWorkspacesResponse, Workspace,
};

use crate::http::{Answer, Caller, Contract, Ended, timestamp};
use crate::modules::auth::store::{WorkspaceRow, create_workspace};
use crate::modules::auth::{Auth, domain};
use crate::modules::idempotency::{Attempt, Key};

const CREATE: &str = "/trellis.auth.v1.Workspaces/CreateWorkspace";

/// The caller becomes its owner.
pub async fn create(
    State(auth): State<Auth>,
    caller: Caller,
    key: Key,
    Contract(request): Contract<CreateWorkspaceRequest>,
) -> Result<Answer, Ended> {
    let name = domain::name(&request.name)?;
    let attempt = Attempt::by(caller.user_id, CREATE, key, &request);
    let mut write = auth.writes.begin(attempt).await?;
    let workspace = create_workspace(&mut write, caller.user_id, name).await?;
    write.answer(&message(workspace)).await
}

/// The caller's, oldest first.
pub async fn list(
    State(auth): State<Auth>,
    caller: Caller,
    Contract(_): Contract<ListWorkspacesRequest>,
) -> Result<Answer, Ended> {
    let workspaces = auth.store.workspaces(caller.user_id).await?;
    let workspaces = workspaces.into_iter().map(message).collect();
    Ok(Answer::of(&ListWorkspacesResponse { workspaces }))
}

fn message(row: WorkspaceRow) -> Workspace {
    Workspace { id: row.id, name: row.name, created_at: Some(timestamp(row.created_at)) }
}
