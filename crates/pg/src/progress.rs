//! Whether a request has done anything yet that a repetition elsewhere would do twice.
//!
//! An owner that meets the fence may say so to the gateway only while the request is [`untouched`].

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

tokio::task_local! {
    static TOUCHED: Arc<AtomicBool>;
}

/// Runs one request.
pub async fn scope<F: Future>(request: F) -> F::Output {
    TOUCHED.scope(Arc::new(AtomicBool::new(false)), request).await
}

/// A transaction of this request is being committed.
pub fn note_commit() {
    touch();
}

/// Something leaves the process for this request: a mail, a charge.
pub fn note_outside_call() {
    touch();
}

/// Nothing was committed and nobody outside was called. False outside of [`scope`], where nobody knows.
pub fn untouched() -> bool {
    TOUCHED.try_with(|touched| !touched.load(Ordering::Relaxed)).unwrap_or(false)
}

fn touch() {
    // Outside a request there is nothing to note.
    let _ = TOUCHED.try_with(|touched| touched.store(true, Ordering::Relaxed));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_untouched_until_it_commits_or_calls_outside() {
        assert!(!untouched());
        scope(async {
            assert!(untouched());
            note_outside_call();
            assert!(!untouched());
        })
        .await;
        scope(async { assert!(untouched()) }).await;
    }
}
