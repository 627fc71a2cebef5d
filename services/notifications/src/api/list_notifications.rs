use tonic::Response;
use trellis_contracts::notifications::v1::{ListNotificationsRequest, ListNotificationsResponse};

use super::call::Call;
use super::wire;
use crate::domain::page::Page;
use crate::error::Error;
use crate::store;

pub async fn run(
    pool: store::Pool,
    call: Call<ListNotificationsRequest>,
) -> Result<Response<ListNotificationsResponse>, Error> {
    let page = Page::asked(call.message.page_size, &call.message.page_token)?;
    let rows = store::inbox::list(&pool, call.user_id, page, call.message.unread_only).await?;
    let (rows, next_page_token) = page.cut(rows, |notification| notification.id);
    let notifications = rows.iter().map(wire::notification).collect();
    Ok(Response::new(ListNotificationsResponse { notifications, next_page_token }))
}
