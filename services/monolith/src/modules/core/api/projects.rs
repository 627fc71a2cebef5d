//! `trellis.core.v1.Projects`.

use axum::extract::State;
use trellis_contracts::core::v1::{
    CreateProjectRequest, ListProjectsRequest, ListProjectsResponse, Project,
};

use super::not_found;
use crate::http::{Answer, Caller, Contract, Ended, Page, timestamp};
use crate::modules::core::store::{ProjectRow, create_project};
use crate::modules::core::{Core, domain};
use crate::modules::idempotency::{Attempt, Key};

const CREATE: &str = "/trellis.core.v1.Projects/CreateProject";

/// In one of the caller's workspaces.
pub async fn create(
    State(core): State<Core>,
    caller: Caller,
    key: Key,
    Contract(request): Contract<CreateProjectRequest>,
) -> Result<Answer, Ended> {
    let name = domain::title(&request.name)?;
    let attempt = Attempt::by(caller.user_id, CREATE, key, &request);
    let mut write = core.writes.begin(attempt).await?;
    let project = create_project(&mut write, caller.user_id, request.workspace_id, name).await?;
    write.answer(&message(project.ok_or_else(not_found)?)).await
}

/// Oldest first.
pub async fn list(
    State(core): State<Core>,
    caller: Caller,
    Contract(request): Contract<ListProjectsRequest>,
) -> Result<Answer, Ended> {
    let page = Page::asked(request.page_size, &request.page_token)?;
    let (workspace_id, after) = (request.workspace_id, page.after());
    let rows = core.store.projects(caller.user_id, workspace_id, after, page.rows()).await?;
    let (rows, next_page_token) = page.cut(rows.ok_or_else(not_found)?, |row| row.id);
    let projects = rows.into_iter().map(message).collect();
    Ok(Answer::of(&ListProjectsResponse { projects, next_page_token }))
}

fn message(row: ProjectRow) -> Project {
    Project {
        id: row.id,
        workspace_id: row.workspace_id,
        name: row.name,
        created_at: Some(timestamp(row.created_at)),
    }
}
