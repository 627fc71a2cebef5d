//! Waiting for what will become true.

use std::time::{Duration, Instant};

/// So long the last question may take.
const UNANSWERED: Duration = Duration::from_mins(1);

/// Asks every 20 ms until `condition` holds; panics with `what` after `deadline`.
pub async fn wait_until(what: &str, deadline: Duration, mut condition: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    let asking = async {
        while !condition().await {
            assert!(start.elapsed() < deadline, "waited {deadline:?} in vain: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let answered = tokio::time::timeout(deadline + UNANSWERED, asking).await;
    assert!(answered.is_ok(), "a question was not answered: {what}");
}
