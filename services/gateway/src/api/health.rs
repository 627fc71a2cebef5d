//! Whether the process lives, and whether it wants requests.

use axum::extract::State;
use ficus_process::Shutdown;
use http::StatusCode;

/// `GET /healthz`
pub async fn alive() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: no longer once the end was requested. Before owners are known nothing is served at all.
pub async fn ready(State(shutdown): State<Shutdown>) -> (StatusCode, &'static str) {
    if shutdown.is_requested() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else {
        (StatusCode::OK, "ready\n")
    }
}
