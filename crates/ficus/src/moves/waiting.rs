//! What a person sees while a verb is at work: where the move stands.

use std::time::Duration;

use indicatif::ProgressBar;
use tokio::time::sleep;

use super::{moves, status};
use crate::controllers::Controllers;

/// What is done sooner needs no word.
const SOON: Duration = Duration::from_secs(1);
const BETWEEN: Duration = Duration::from_millis(500);
const TURN: Duration = Duration::from_millis(100);

/// Awaits `work`, and tells of it where a terminal is looked at.
pub(super) async fn telling<T>(
    controllers: &Controllers,
    capability: &str,
    work: impl Future<Output = T>,
) -> T {
    let line = ProgressBar::new_spinner();
    if line.is_hidden() {
        return work.await;
    }
    let telling = async {
        sleep(SOON).await;
        line.enable_steady_tick(TURN);
        loop {
            let found = moves(controllers, capability, 1).await.unwrap_or_default();
            if let Some(one) = found.first() {
                line.set_message(status::in_short(one));
            }
            sleep(BETWEEN).await;
        }
    };
    let done = tokio::select! {
        done = work => done,
        never = telling => never,
    };
    line.finish_and_clear();
    done
}
