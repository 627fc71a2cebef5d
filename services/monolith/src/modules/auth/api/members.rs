//! `trellis.auth.v1.Workspaces`: who belongs to them.

use axum::extract::State;
use ficus_rpc::Error;
use trellis_contracts::auth::v1::{
    AddMemberRequest, ListMembersRequest, ListMembersResponse, Member,
};

use crate::http::{Answer, Caller, Contract, Ended, Page};
use crate::modules::auth::store::{MemberRow, add_member};
use crate::modules::auth::{Auth, domain};
use crate::modules::idempotency::{Attempt, Key};

const ADD: &str = "/trellis.auth.v1.Workspaces/AddMember";

/// Any member may add another person.
pub async fn add(
    State(auth): State<Auth>,
    caller: Caller,
    key: Key,
    Contract(request): Contract<AddMemberRequest>,
) -> Result<Answer, Ended> {
    let email = domain::email(&request.email)?;
    known(&auth, request.workspace_id, &caller).await?;
    let attempt = Attempt::by(caller.user_id, ADD, key, &request);
    let mut write = auth.writes.begin(attempt).await?;
    let member = add_member(&mut write, request.workspace_id, &email).await?;
    write.answer(&message(member.ok_or_else(nobody)?)).await
}

/// The members by their id.
pub async fn list(
    State(auth): State<Auth>,
    caller: Caller,
    Contract(request): Contract<ListMembersRequest>,
) -> Result<Answer, Ended> {
    let page = Page::asked(request.page_size, &request.page_token)?;
    let workspace_id = request.workspace_id;
    let store = &auth.store;
    let rows = store.members(caller.user_id, workspace_id, page.after(), page.rows()).await?;
    if rows.is_empty() {
        known(&auth, workspace_id, &caller).await?;
    }
    let (rows, next_page_token) = page.cut(rows, |row| row.user_id);
    let members = rows.into_iter().map(message).collect();
    Ok(Answer::of(&ListMembersResponse { members, next_page_token }))
}

/// Holds for the workspaces that the caller knows of: their own.
async fn known(auth: &Auth, workspace_id: i64, caller: &Caller) -> Result<(), Ended> {
    if auth.store.is_member(workspace_id, caller.user_id).await? {
        Ok(())
    } else {
        Err(Error::not_found("not_found", "there is no such workspace").into())
    }
}

fn nobody() -> Error {
    Error::unprocessable("unknown_person", "nobody has signed up with this address")
}

fn message(row: MemberRow) -> Member {
    Member { user_id: row.user_id, name: row.name, role: row.role }
}
