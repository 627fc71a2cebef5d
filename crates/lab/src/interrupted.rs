//! When a person, or what runs the command for one, wants it to end.

use std::future::pending;

use tokio::signal::unix::{SignalKind, signal};

/// Waits for Ctrl-C or SIGTERM; for ever where neither can be heard.
pub async fn interrupted() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return pending().await };
    tokio::select! {
        pressed = tokio::signal::ctrl_c() => if pressed.is_err() { pending().await },
        _ = terminate.recv() => {}
    }
}
