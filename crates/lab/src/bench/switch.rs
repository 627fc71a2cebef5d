//! How long writes wait while the owner changes, under load, and what a customer feels of it.

use std::sync::PoisonError;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::figure::Figure;
use super::run::Ground;
use crate::judge::settle::{self, Doubt};
use crate::moves;
use crate::scenario::people::Crowd;
use crate::shell::Outcome;
use crate::stack::up;
use crate::tour::nearest_rank;
use crate::trial::{Size, Trial};

const ROWS: i64 = 50_000;
/// Everybody changes preferences, each one change at a time: enough people that a pause keeps few from writing.
const CROWD: Crowd = Crowd { teams: 40, members: 8, choosers: 8 };
const PATIENCE: Duration = Duration::from_mins(2);
const REST: Duration = Duration::from_millis(200);

pub async fn measure(ground: &Ground) -> Result<Vec<Figure>> {
    let Ground { root, rate, seed, switches, .. } = ground;
    let wanted = up::Arguments { servers: ground.servers.clone(), ..Default::default() };
    let size = Size { rows: ROWS, seed: *seed, rate: *rate, crowd: CROWD };
    let trial = Trial::begin(root, &wanted, size, "bench-ledger.jsonl", false).await?;
    let Trial { stack, before, world, client, load } = trial;
    moves::prepare(root).await?;
    world.lock().unwrap_or_else(PoisonError::into_inner).only_choosing = true;
    // Seconds before it are not counted.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let from = load.elapsed();
    let (mut pauses, mut refused) = (Vec::new(), 0);
    while pauses.len() < usize::from(*switches) {
        moves::insist(root, ".ficus/bin/ficus move notifications vdiff").await?;
        match moves::change(root, moves::owner(root).await?).await? {
            Outcome::Done(said) => {
                let pause = said["switch"]["pause_ms"].as_f64();
                pauses.push(pause.context("the switch did not tell its write pause")?);
            }
            Outcome::Refused(why) => {
                refused += 1;
                ensure!(refused <= pauses.len() + 10, "switches are refused: {why}");
            }
        }
        tokio::time::sleep(REST).await;
    }
    let to = load.elapsed();
    let report = load.stop().await;
    settle::converge(&world, &client).await?;
    moves::rest_at_service(root, PATIENCE).await?;
    let verdict = settle::verdict(root, &stack, &world, before, &Doubt::default()).await?;
    ensure!(verdict.clean(), "the judge found: {}", verdict.findings.join("; "));

    let window = report.window(from, to);
    let seconds = to.saturating_sub(from).as_secs_f64();
    pauses.sort_by(f64::total_cmp);
    let n = pauses.len();
    let pause = |percent| nearest_rank(&pauses, percent).unwrap_or_default();
    let writes = report.route("PUT /v1/notification-preferences", from, to).ok;
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand writes")]
    let writes = writes as f64 / seconds;
    let note = format!(
        "{n} changes of owner, there and back, {refused} refused and tried again; {writes:.0} writes/s through the \
         gateway ({rate} asked for); 0 lost, 0 doubled, 0 stale of {} acknowledged",
        verdict.acknowledged
    );
    #[expect(clippy::cast_precision_loss, reason = "few requests fail")]
    let failed = window.failed as f64;
    Ok(vec![
        Figure::alone("switch.pause.p50", "ms", n, pause(50)).noting(note),
        Figure::alone("switch.pause.p99", "ms", n, pause(99)),
        Figure::alone("switch.slowest", "ms", n, window.latency.max)
            .noting("the slowest request of all, from when it was due"),
        Figure::alone("switch.failed", "requests", n, failed).noting(format!("of {}", window.sent)),
    ])
}
