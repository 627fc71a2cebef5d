//! The HTTP side: how slow the mail server is, and how much it has taken.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};

use crate::smtp::Mailbox;

#[derive(serde::Deserialize)]
struct Delay {
    milliseconds: u64,
}

#[derive(serde::Serialize)]
struct Count {
    count: u64,
}

pub fn router(mailbox: Arc<Mailbox>) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/smtp/delay", post(delay))
        .route("/smtp/count", get(count))
        .with_state(mailbox)
}

async fn delay(State(mailbox): State<Arc<Mailbox>>, Json(delay): Json<Delay>) -> StatusCode {
    mailbox.set_delay(Duration::from_millis(delay.milliseconds));
    StatusCode::NO_CONTENT
}

async fn count(State(mailbox): State<Arc<Mailbox>>) -> Json<Count> {
    Json(Count { count: mailbox.count() })
}
