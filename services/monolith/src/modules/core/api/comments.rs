//! `trellis.core.v1.Comments`.

use axum::extract::State;
use trellis_contracts::core::v1::{
    Comment, CreateCommentRequest, ListCommentsRequest, ListCommentsResponse,
};

use super::not_found;
use crate::http::{Answer, Caller, Contract, Ended, Page, timestamp};
use crate::modules::core::store::{CommentRow, create_comment, members_of};
use crate::modules::core::{Core, domain};
use crate::modules::idempotency::{Attempt, Key};
use crate::modules::notifications::News;

const CREATE: &str = "/trellis.core.v1.Comments/CreateComment";

/// Tells the members of the workspace that it mentions.
pub async fn create(
    State(core): State<Core>,
    caller: Caller,
    key: Key,
    Contract(request): Contract<CreateCommentRequest>,
) -> Result<Answer, Ended> {
    let (author_id, body) = (caller.user_id, domain::body(&request.body)?);
    let attempt = Attempt::by(author_id, CREATE, key, &request);
    let mut write = core.writes.begin(attempt).await?;
    let made = create_comment(&mut write, author_id, request.task_id, body).await?;
    let made = made.ok_or_else(not_found)?;
    let (workspace_id, version) = (made.workspace_id, made.version);
    let mentioned = domain::mentioned(body, author_id);
    let mentioned = members_of(&mut write, workspace_id, &mentioned).await?;
    let (comment_id, task_id) = (made.comment.id, made.comment.task_id);
    let news =
        News::CommentCreated { comment_id, task_id, workspace_id, author_id, mentioned, version };
    let mails = core.notify.tell(&mut write, &news).await?;
    let answer = write.answer(&message(made.comment)).await?;
    mails.send().await;
    Ok(answer)
}

/// Oldest first.
pub async fn list(
    State(core): State<Core>,
    caller: Caller,
    Contract(request): Contract<ListCommentsRequest>,
) -> Result<Answer, Ended> {
    let page = Page::asked(request.page_size, &request.page_token)?;
    let (task_id, after) = (request.task_id, page.after());
    let rows = core.store.comments(caller.user_id, task_id, after, page.rows()).await?;
    let (rows, next_page_token) = page.cut(rows.ok_or_else(not_found)?, |row| row.id);
    let comments = rows.into_iter().map(message).collect();
    Ok(Answer::of(&ListCommentsResponse { comments, next_page_token }))
}

fn message(row: CommentRow) -> Comment {
    Comment {
        id: row.id,
        task_id: row.task_id,
        author_id: row.author_id,
        body: row.body,
        created_at: Some(timestamp(row.created_at)),
    }
}
