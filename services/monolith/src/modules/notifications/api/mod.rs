//! The module's routes, one file a service of the contract.

mod deliveries;
mod inbox;
mod preferences;

use axum::Router;
use axum::routing::{get, post};
use trellis_contracts::notifications::v1;

use super::Notifications;
use super::domain::Kind;

/// Every annotated RPC of `trellis.notifications.v1`.
pub fn routes() -> Router<Notifications> {
    Router::new()
        .route("/v1/inbox", get(inbox::list))
        .route("/v1/inbox/unread-count", get(inbox::count_unread))
        .route("/v1/inbox/{notification_id}/read", post(inbox::mark_read))
        .route("/v1/inbox/read-all", post(inbox::mark_all_read))
        .route("/v1/notification-preferences", get(preferences::get).put(preferences::update))
        .route("/v1/deliveries", get(deliveries::list))
}

fn kind(kind: Kind) -> v1::Kind {
    match kind {
        Kind::Welcome => v1::Kind::Welcome,
        Kind::Assignment => v1::Kind::Assignment,
        Kind::Mention => v1::Kind::Mention,
    }
}

/// The kind of this name in the database.
fn kind_named(name: &str) -> v1::Kind {
    Kind::named(name).map_or(v1::Kind::Unspecified, kind)
}
