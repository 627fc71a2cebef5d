//! What a run tells: JSON for machines, tables for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{Table, presets};
use serde::Serialize;

use super::blow::{Blow, How};
use crate::head::Head;
use crate::judge::Verdict;
use crate::judge::mails::Crash;

/// A blow that was carried out.
#[derive(Debug)]
pub struct Struck {
    pub blow: Blow,
    /// Since the load began: when it fell, and when the victim was started again or went on.
    pub at: Duration,
    pub back: Duration,
    /// When it answered again: before that a backlog may only begin to grow.
    pub answers: Duration,
    pub crash: Crash,
}

/// The whole.
#[derive(Debug, Default, Serialize)]
pub struct KillReport {
    #[serde(flatten)]
    pub head: Head,
    /// Of the load.
    pub seconds: f64,
    /// Why the run did not reach its end; absent if it did.
    pub broke: Option<String>,
    /// Absent if the run broke before it.
    pub verdict: Option<Verdict>,
    /// By victim, freezes included.
    pub kills: BTreeMap<&'static str, usize>,
    pub recovery_ms: Recovery,
    /// Changes of owner.
    pub switches: i64,
    pub requests: Requests,
    /// Sessions that the monolith's deaths ended, begun anew.
    pub signed_in_again: usize,
    pub blows: Vec<BlowReport>,
}

/// Milliseconds from a victim's restart.
#[derive(Debug, Default, Serialize)]
pub struct Recovery {
    /// To the beginning of the first whole second with 99 of 100 requests answered.
    pub requests: Quantiles,
    /// Until no event and no mail was more than 2 s behind.
    pub asynchronous: Quantiles,
}

#[derive(Debug, Default, Clone, Copy, Serialize)]
pub struct Quantiles {
    pub p50: f64,
    pub max: f64,
}

#[derive(Debug, Default, Serialize)]
pub struct Requests {
    pub sent: u64,
    /// With a status below 500.
    pub answered: u64,
    pub shed: u64,
}

/// One blow, and how long it was felt.
#[derive(Debug, Serialize)]
pub struct BlowReport {
    pub at_seconds: f64,
    pub victim: &'static str,
    pub frozen_seconds: Option<f64>,
    pub requests_ms: f64,
    pub asynchronous_ms: f64,
}

impl BlowReport {
    pub fn new(struck: &Struck, requests: Duration, asynchronous: Duration) -> Self {
        let since = |at: Duration| at.saturating_sub(struck.back).as_secs_f64() * 1_000.0;
        let frozen_seconds = match struck.blow.how {
            How::Kill => None,
            How::Freeze(length) => Some(length.as_secs_f64()),
        };
        Self {
            at_seconds: struck.at.as_secs_f64(),
            victim: struck.blow.victim.name(),
            frozen_seconds,
            requests_ms: since(requests),
            asynchronous_ms: since(asynchronous),
        }
    }
}

impl KillReport {
    /// Whether the run has held what is promised.
    pub fn clean(&self) -> bool {
        let verdict = self.verdict.as_ref().is_some_and(Verdict::clean);
        verdict && self.broke.is_none()
    }

    /// Sums the blows up.
    pub fn sum_up(&mut self) {
        for blow in &self.blows {
            *self.kills.entry(blow.victim).or_default() += 1;
        }
        self.recovery_ms = Recovery {
            requests: quantiles(self.blows.iter().map(|blow| blow.requests_ms)),
            asynchronous: quantiles(self.blows.iter().map(|blow| blow.asynchronous_ms)),
        };
    }

    /// For a person.
    pub fn text(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header([
            "victim",
            "killed",
            "frozen",
            "requests p50/max",
            "asynchronous p50/max",
        ]);
        for victim in self.kills.keys() {
            let of = || self.blows.iter().filter(|blow| blow.victim == *victim);
            let frozen = of().filter(|blow| blow.frozen_seconds.is_some()).count();
            table.add_row([
                (*victim).to_owned(),
                (of().count() - frozen).to_string(),
                frozen.to_string(),
                quantiles(of().map(|blow| blow.requests_ms)).text(),
                quantiles(of().map(|blow| blow.asynchronous_ms)).text(),
            ]);
        }
        let Requests { sent, answered, shed } = self.requests;
        let mut text = format!(
            "{table}\n\n{} blows in {:.0} s; {} changes of owner; {sent} requests, {answered} answered, {shed} shed; \
             {} sessions begun anew",
            self.blows.len(),
            self.seconds,
            self.switches,
            self.signed_in_again
        );
        if let Some(verdict) = &self.verdict {
            let _ = write!(
                text,
                "\n{} writes acknowledged, {} refused, {} unknown ({} converged)\n\
                 {} lost, {} doubled, {} out of order, {} stale; {} mails repeated by a crash while they were sent",
                verdict.acknowledged,
                verdict.refused,
                verdict.unknown,
                verdict.unknown_converged,
                verdict.lost,
                verdict.doubled,
                verdict.out_of_order,
                verdict.stale,
                verdict.mails_repeated
            );
        }
        if let Some(why) = &self.broke {
            let _ = write!(text, "\nit broke: {why}");
        }
        text
    }
}

impl Quantiles {
    fn text(self) -> String {
        format!("{:.1}/{:.1} s", self.p50 / 1_000.0, self.max / 1_000.0)
    }
}

/// By nearest rank.
fn quantiles(of: impl Iterator<Item = f64>) -> Quantiles {
    let mut all: Vec<f64> = of.collect();
    all.sort_by(f64::total_cmp);
    let p50 = all.get(all.len().div_ceil(2).saturating_sub(1)).copied();
    Quantiles { p50: p50.unwrap_or_default(), max: all.last().copied().unwrap_or_default() }
}

#[cfg(test)]
mod tests {
    use super::quantiles;

    #[test]
    fn quantiles_are_by_nearest_rank() {
        let found = quantiles([3.0, 1.0, 2.0, 9.0].into_iter());
        assert_eq!(format!("{found:?}"), "Quantiles { p50: 2.0, max: 9.0 }");
        assert_eq!(
            format!("{:?}", quantiles(std::iter::empty())),
            "Quantiles { p50: 0.0, max: 0.0 }"
        );
    }
}
