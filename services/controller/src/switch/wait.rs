//! Waiting for pickers, and following meanwhile.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use ficus_process::fault;
use tokio::time::sleep;

use crate::{error::Result, hand::InHand, store::Registered};

/// Rounds follow one another at least so often while something is waited for.
const ROUNDS: Duration = Duration::from_millis(10);

/// Asks until all have, or `limit` is over; who was missing when it was asked last.
pub(super) async fn for_all<F>(
    limit: Duration,
    every: Duration,
    mut ask: impl FnMut() -> F,
) -> Result<Registered>
where
    F: Future<Output = Result<Registered>>,
{
    let start = Instant::now();
    loop {
        if fault::planted("acknowledgements-off") {
            return Ok(Registered::default());
        }
        let registered = ask().await?;
        if registered.all_have() || start.elapsed() >= limit {
            return Ok(registered);
        }
        sleep(every.min(limit.saturating_sub(start.elapsed()))).await;
    }
}

impl InHand {
    /// Follows on until `work` has ended, so that what is left to drain stays small.
    pub(super) async fn follow_while<T>(&mut self, work: impl Future<Output = T>) -> Result<T> {
        let ended = AtomicBool::new(false);
        let work = async {
            let value = work.await;
            ended.store(true, Ordering::Release);
            value
        };
        let following = async {
            while !ended.load(Ordering::Acquire) {
                let rest = self.follow().await?;
                sleep(rest.min(ROUNDS)).await;
            }
            Ok(())
        };
        let (value, followed) = tokio::join!(work, following);
        followed.map(|()| value)
    }
}
