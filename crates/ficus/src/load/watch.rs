//! What happens, while it does.

use std::time::Duration;

use ficus_load::{Milliseconds, Plan, Tally, Tester};
use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};

use crate::out;

const SHOWN: Duration = Duration::from_millis(500);
const STYLE: &str = "{bar:20} {pos}/{len} s  {msg}";

/// How a run ended.
pub(super) struct Watched {
    /// How long requests were sent.
    pub sent_for: Duration,
    /// Somebody ended it.
    pub stopped: bool,
    /// What is still in flight is not waited for.
    pub abandoned: bool,
}

/// Returns when all has been sent and has ended. Ctrl-C ends the sending; a second one ends at once, with what there
/// is.
pub(super) async fn until_over(tester: &Tester, plan: &Plan) -> anyhow::Result<Watched> {
    let bar =
        ProgressBar::new(plan.length.as_secs()).with_style(ProgressStyle::with_template(STYLE)?);
    let mut watched = Watched { sent_for: plan.length, stopped: false, abandoned: false };
    let mut before = (Duration::ZERO, Tally::default());
    // One for all of it: what comes while nobody listens is lost.
    let mut pressed = signal(SignalKind::interrupt())?;
    while !tester.is_over() && !watched.abandoned {
        tokio::select! {
            () = tokio::time::sleep(SHOWN) => {
                let now = (tester.elapsed(), tester.look());
                bar.set_position(now.0.as_secs().min(plan.length.as_secs()));
                bar.set_message(line(&before, &now, tester.in_flight()));
                before = now;
            }
            _ = pressed.recv() => {
                watched.abandoned = watched.stopped;
                if !watched.stopped {
                    watched.stopped = true;
                    watched.sent_for = tester.elapsed().min(plan.length);
                    tester.stop();
                    out::warn("stopped: what is in flight is waited for; Ctrl-C once more ends at once");
                }
            }
        }
    }
    bar.finish_and_clear();
    Ok(watched)
}

/// Rates of the last half second, percentiles of all so far.
fn line(before: &(Duration, Tally), now: &(Duration, Tally), in_flight: u32) -> String {
    let seconds = now.0.saturating_sub(before.0).as_secs_f64().max(1e-9);
    #[expect(clippy::cast_precision_loss, reason = "requests of half a second")]
    let a_second = |was: u64, is: u64| is.saturating_sub(was) as f64 / seconds;
    let latency = Milliseconds::of(&now.1.latency);
    let errors: u64 = now.1.errors.values().map(|failed| failed.count).sum();
    format!(
        "{:.0}/s of {:.0}/s  in flight {in_flight}  errors {errors}  shed {}  p50 {:.1}  p90 {:.1}  p99 {:.1}  \
         p99.9 {:.1} ms  own lag p99 {:.2} ms",
        a_second(before.1.sent(), now.1.sent()),
        a_second(before.1.due, now.1.due),
        now.1.shed,
        latency.p50,
        latency.p90,
        latency.p99,
        latency.p999,
        Milliseconds::of(&now.1.lag).p99,
    )
}
