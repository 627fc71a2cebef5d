//! `trellis.notifications.v1.Deliveries`.

use axum::extract::State;
use trellis_contracts::notifications::v1::{
    Delivery, DeliveryState, ListDeliveriesRequest, ListDeliveriesResponse,
};

use super::kind_named;
use crate::http::{Answer, Caller, Contract, Ended, Page, timestamp};
use crate::modules::notifications::Notifications;
use crate::modules::notifications::store::DeliveryRow;

/// Mails to the caller, newest first.
pub async fn list(
    State(module): State<Notifications>,
    caller: Caller,
    Contract(request): Contract<ListDeliveriesRequest>,
) -> Result<Answer, Ended> {
    let page = Page::asked(request.page_size, &request.page_token)?;
    let rows = module.store.deliveries(caller.user_id, page).await?;
    let (rows, next_page_token) = page.cut(rows, |row| row.id);
    let deliveries = rows.into_iter().map(message).collect();
    Ok(Answer::of(&ListDeliveriesResponse { deliveries, next_page_token }))
}

fn message(row: DeliveryRow) -> Delivery {
    Delivery {
        id: row.id,
        kind: kind_named(&row.template).into(),
        state: state(&row.state).into(),
        attempts: row.attempts,
        last_error: row.last_error,
        created_at: Some(timestamp(row.created_at)),
        sent_at: row.sent_at.map(timestamp),
    }
}

fn state(name: &str) -> DeliveryState {
    match name {
        "queued" => DeliveryState::Queued,
        "sending" => DeliveryState::Sending,
        "sent" => DeliveryState::Sent,
        "failed" => DeliveryState::Failed,
        _ => DeliveryState::Unspecified,
    }
}
