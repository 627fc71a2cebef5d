//! Carries a blow out, and waits until all is normal again.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use ficus_load::{Load, Report};
use ficus_process::Clock;
use nix::sys::signal::Signal;
use tokio_util::sync::CancellationToken;

use super::backlog::Backlog;
use super::blow::{Blow, How};
use super::report::{AtRest, Struck};
use crate::judge::mails::Crash;
use crate::stack::{Root, Stack, health, process, up};

/// How long a victim may take until it answers, and then until all is normal again, before the run gives up on it; then as
/// long again as it did not answer, for what has piled up meanwhile is worked off beside what goes on coming.
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(100);

/// Who strikes.
pub struct Executioner<'a> {
    pub root: &'a Root,
    pub servers: &'a up::Servers,
    pub load: &'a Load,
    pub backlog: &'a Backlog,
    /// Between death and the next start.
    pub away: Duration,
    /// Ends what a victim is left dead or frozen for: a run that is interrupted leaves nobody so.
    pub interrupted: CancellationToken,
}

impl Executioner<'_> {
    /// Strikes once and waits; an error if all does not become normal.
    pub async fn strike(&self, blow: &Blow) -> Result<Struck> {
        let (name, from) = (blow.victim.name(), Clock::system().now());
        let at = self.load.elapsed();
        let stack = Stack::of(self.root)?;
        let entry = stack.named(name)?;
        ensure!(entry.alive(), "{name} ended without being struck; its log is in .ficus/log");
        match blow.how {
            How::Kill => {
                let signal =
                    if blow.victim.is_postgres() { Signal::SIGQUIT } else { Signal::SIGKILL };
                process::send(entry, signal);
                ensure!(process::gone(entry, PATIENCE).await, "{name} does not die");
                self.leave(self.away).await;
                up::again(self.root, name, self.servers, &[]).await?;
            }
            How::Freeze(length) => {
                process::send(entry, Signal::SIGSTOP);
                self.leave(length).await;
                process::send(entry, Signal::SIGCONT);
            }
        }
        let back = self.load.elapsed();
        health::wait(Stack::of(self.root)?.named(name)?).await?;
        let (until, answers) = (Clock::system().now(), self.load.elapsed());
        let patience = PATIENCE + answers.saturating_sub(at);
        self.normal(back, answers, patience)
            .await
            .with_context(|| format!("after this: {}", blow.text()))?;
        Ok(Struck { blow: *blow, at, back, answers, crash: Crash { from, until } })
    }

    /// Waits, unless the run is interrupted.
    pub async fn leave(&self, length: Duration) {
        tokio::select! {
            () = tokio::time::sleep(length) => {}
            () = self.interrupted.cancelled() => {}
        }
    }

    /// `back` is when the victim was started, `answers` when it was seen to answer.
    async fn normal(&self, back: Duration, answers: Duration, patience: Duration) -> Result<()> {
        let begun = Instant::now();
        loop {
            let requests = self.load.with_report(|report| normal_again(report, back));
            // Of the present second not everything has been answered.
            let second = Duration::from_secs(1);
            let seen = requests.is_some_and(|at| at + second * 2 < self.load.elapsed());
            if seen && self.backlog.caught_up_since(answers).is_some() {
                return Ok(());
            }
            ensure!(
                begun.elapsed() < patience,
                "not normal again within {} s: requests {}, asynchronous work {}",
                patience.as_secs(),
                if seen { "are answered" } else { "are not answered" },
                self.backlog.text()
            );
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// What was due and what was answered in the whole seconds outside of all blows, given as when each fell and when all
/// was normal again.
pub fn at_rest(report: &Report, blows: &[(Duration, Duration)]) -> AtRest {
    let mut at_rest = AtRest::default();
    let seconds = (0..=report.last_second().unwrap_or_default()).map(Duration::from_secs);
    for second in seconds.filter(|second| rests(*second, blows)) {
        let window = report.window(second, second);
        at_rest.due += window.due;
        at_rest.answered += window.answered;
    }
    at_rest
}

/// Whether a second is over a second before the next blow fell, for what was under way then, and begins one after all was
/// normal again, for in the first of these one request of a hundred may still fail.
fn rests(second: Duration, blows: &[(Duration, Duration)]) -> bool {
    const SECOND: Duration = Duration::from_secs(1);
    let felt =
        |&(at, normal): &(Duration, Duration)| second + SECOND * 2 > at && second < normal + SECOND;
    !blows.iter().any(felt)
}

/// When the first whole second begins, from `back` on, in which at least 99 of 100 requests were answered with a
/// status below 500.
pub fn normal_again(report: &Report, back: Duration) -> Option<Duration> {
    let first = back.as_secs() + u64::from(back.subsec_nanos() > 0);
    let last = report.last_second()?;
    (first..=last).map(Duration::from_secs).find(|second| {
        let window = report.window(*second, *second);
        window.due > 0 && window.answered * 100 >= window.due * 99
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::rests;

    #[test]
    fn a_blow_is_felt_from_a_second_before_it_to_one_after_all_was_normal() {
        let blows = [(Duration::from_millis(4_500), Duration::from_secs(8))];
        let resting = (0..12).filter(|second| rests(Duration::from_secs(*second), &blows));
        assert_eq!(resting.collect::<Vec<_>>(), [0, 1, 2, 9, 10, 11]);
    }
}
