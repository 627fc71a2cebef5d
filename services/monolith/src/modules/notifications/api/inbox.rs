//! `trellis.notifications.v1.Inbox`.

use axum::extract::State;
use ficus_rpc::Error;
use trellis_contracts::notifications::v1::{
    CountUnreadRequest, CountUnreadResponse, ListNotificationsRequest, ListNotificationsResponse,
    MarkAllReadRequest, MarkAllReadResponse, MarkReadRequest, Notification,
};

use super::kind_named;
use crate::http::{Answer, Caller, Contract, Ended, Page, timestamp};
use crate::modules::idempotency::{Attempt, Key};
use crate::modules::notifications::Notifications;
use crate::modules::notifications::store::{self, NotificationRow};

const MARK_READ: &str = "/trellis.notifications.v1.Inbox/MarkRead";
const MARK_ALL_READ: &str = "/trellis.notifications.v1.Inbox/MarkAllRead";

/// Newest first.
pub async fn list(
    State(module): State<Notifications>,
    caller: Caller,
    Contract(request): Contract<ListNotificationsRequest>,
) -> Result<Answer, Ended> {
    let page = Page::asked(request.page_size, &request.page_token)?;
    let rows = module.store.notifications(caller.user_id, page, request.unread_only).await?;
    let (rows, next_page_token) = page.cut(rows, |row| row.id);
    let notifications = rows.iter().map(message).collect();
    Ok(Answer::of(&ListNotificationsResponse { notifications, next_page_token }))
}

/// How many are unread.
pub async fn count_unread(
    State(module): State<Notifications>,
    caller: Caller,
    Contract(_): Contract<CountUnreadRequest>,
) -> Result<Answer, Ended> {
    let unread = module.store.count_unread(caller.user_id).await?;
    Ok(Answer::of(&CountUnreadResponse { unread }))
}

/// One that is read already stays as it is.
pub async fn mark_read(
    State(module): State<Notifications>,
    caller: Caller,
    key: Key,
    Contract(request): Contract<MarkReadRequest>,
) -> Result<Answer, Ended> {
    let attempt = Attempt::by(caller.user_id, MARK_READ, key, &request);
    let mut write = module.writes.begin(attempt).await?;
    let id = request.notification_id;
    let notification = store::mark_read(&mut write, caller.user_id, id).await?;
    write.answer(&message(&notification.ok_or_else(not_found)?)).await
}

/// All of the caller's.
pub async fn mark_all_read(
    State(module): State<Notifications>,
    caller: Caller,
    key: Key,
    _: Contract<MarkAllReadRequest>,
) -> Result<Answer, Ended> {
    let attempt = Attempt::by(caller.user_id, MARK_ALL_READ, key, &MarkAllReadRequest {});
    let mut write = module.writes.begin(attempt).await?;
    let marked = store::mark_all_read(&mut write, caller.user_id).await?;
    write.answer(&MarkAllReadResponse { marked }).await
}

fn not_found() -> Error {
    Error::not_found("not_found", "there is no such notification")
}

fn message(row: &NotificationRow) -> Notification {
    Notification {
        id: row.id,
        kind: kind_named(&row.kind).into(),
        workspace_id: row.workspace_id,
        actor_id: row.actor_id.unwrap_or_default(),
        task_id: row.task_id.unwrap_or_default(),
        comment_id: row.comment_id.unwrap_or_default(),
        read: row.read,
        created_at: Some(timestamp(row.created_at)),
    }
}
