//! What people feel of a copy: how long their requests take while one is prepared, made and cancelled, beside the same
//! without.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::copy;
use super::figure::{Better, Figure};
use super::rounds::in_turns;
use super::run::Ground;
use crate::moves;
use crate::scenario::people::FEW;
use crate::stack::up;
use crate::trial::{Size, Trial};

const ROWS: i64 = 400_000;
const RATE: f64 = 200.0;
/// As long as a copy takes, about.
const TURN: Duration = Duration::from_secs(8);

pub async fn measure(ground: &Ground) -> Result<Vec<Figure>> {
    let wanted = up::Arguments { servers: ground.servers.clone(), ..Default::default() };
    let size = Size { rows: ROWS, seed: ground.seed, rate: RATE, crowd: FEW };
    let trial = Trial::begin(&ground.root, &wanted, size, "bench-ledger.jsonl", false).await?;
    let Trial { stack, load, .. } = trial;
    moves::cut(&ground.root).await?;
    // Whoever is first connects and fills caches.
    copy::moved(ground, &stack).await?;
    copy::cancel(ground).await?;
    let measured = in_turns::<2>(ground.rounds, async |turn| {
        let from = load.elapsed();
        if turn == 0 {
            copy::moved(ground, &stack).await?;
            copy::cancel(ground).await?;
        } else {
            tokio::time::sleep(TURN).await;
        }
        let window = load.with_report(|report| report.window(from, load.elapsed()));
        ensure!(window.failed == 0, "{} of {} requests failed", window.failed, window.sent);
        Ok(window.latency.p99)
    });
    let compared = measured.await?.beside(1);
    load.stop().await;
    let note = format!(
        "p99 of {RATE} requests/s, from when each was due; {ROWS} notifications and what belongs to them, with capture \
         installed and taken away again"
    );
    let figure = Figure::beside("felt.p99", "ms", Better::Lower, "no copy", &compared);
    Ok(vec![figure.noting(note)])
}
