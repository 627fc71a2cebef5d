//! What a run tells: JSON for machines, tables for people.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use comfy_table::{Table, presets};
use serde::Serialize;

use super::blow::{Blow, How, Victim};
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
    /// Deaths by victim.
    pub kills: BTreeMap<&'static str, usize>,
    /// Frozen leaders by victim.
    pub freezes: BTreeMap<&'static str, usize>,
    pub recovery_ms: Recovery,
    /// Changes of owner.
    pub switches: i64,
    pub requests: Requests,
    /// Outside of all blows.
    pub at_rest: AtRest,
    /// Why changes of owner were refused or cut off, and how often.
    pub refusals: BTreeMap<String, usize>,
    /// Sessions that the monolith's deaths ended, begun anew.
    pub signed_in_again: usize,
    pub blows: Vec<BlowReport>,
    /// What else was promised and did not come about, in words.
    pub missed: Vec<String>,
    /// After which blows asynchronous work was behind for longer than is promised, if those were few enough.
    pub late: Vec<String>,
}

/// Three times what is promised, for machines differ: 5 s, and 20 s for what waits for a broker. Of that death how long the
/// broker takes until it listens is left out, and as long again is added as nothing could be sent: how long that is depends
/// on the machine alone, and what piles up meanwhile is worked off beside what goes on coming.
const NORMAL: Duration = Duration::from_secs(15);
const BROKER_NORMAL: Duration = Duration::from_mins(1);
/// Of so many blows asynchronous work may be longer behind after one, until the run breaks off: where others have the
/// processors for a while nothing is wrong.
const BLOWS_A_DELAY: usize = 10;
/// After a database answers again no request may fail for longer than 3 s; whole seconds are looked at, so what is found is
/// up to one longer.
const DATABASE_NORMAL: Duration = Duration::from_secs(4);
/// Who is away for longer takes most writes with it, and nothing moves without a broker.
const SHORTLY: Duration = Duration::from_secs(2);
/// Of so many blows one change of owner at least comes about.
const BLOWS_A_SWITCH: usize = 4;

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

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct AtRest {
    pub due: u64,
    pub answered: u64,
}

/// One blow, and how long it was felt.
#[derive(Debug, Serialize)]
pub struct BlowReport {
    pub at_seconds: f64,
    pub victim: &'static str,
    pub frozen_seconds: Option<f64>,
    /// From its restart until it answered.
    pub start_ms: f64,
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
            start_ms: since(struck.answers),
            requests_ms: since(requests),
            asynchronous_ms: since(asynchronous),
        }
    }
}

impl KillReport {
    /// Whether the run has held what is promised.
    pub fn clean(&self) -> bool {
        let verdict = self.verdict.as_ref().is_some_and(Verdict::clean);
        verdict && self.broke.is_none() && self.missed.is_empty()
    }

    /// Sums the blows up; `away` is how long each victim was left dead, for which work piled up.
    pub fn sum_up(&mut self, away: Duration) {
        (self.missed, self.late) = self.missed(away);
        for blow in &self.blows {
            let of =
                if blow.frozen_seconds.is_some() { &mut self.freezes } else { &mut self.kills };
            *of.entry(blow.victim).or_default() += 1;
        }
        self.recovery_ms = Recovery {
            requests: quantiles(self.blows.iter().map(|blow| blow.requests_ms)),
            asynchronous: quantiles(self.blows.iter().map(|blow| blow.asynchronous_ms)),
        };
    }

    /// What was promised and did not come about, though nothing was lost, and what of that may happen now and then.
    fn missed(&self, away: Duration) -> (Vec<String>, Vec<String>) {
        let (mut missed, mut late) = (Vec::new(), Vec::new());
        for (number, blow) in (1..).zip(&self.blows) {
            let is = |victim: Victim| blow.victim == victim.name();
            let database = is(Victim::PostgresMonolith) || is(Victim::PostgresServices);
            let within = |what: &str, took: f64, limit: Duration| {
                let (took, seconds, of) = (took / 1_000.0, limit.as_secs(), blow.victim);
                (took > limit.as_secs_f64()).then(|| {
                    format!(
                        "after blow {number}, on {of}, {what} for {took:.1} s, longer than {seconds} s"
                    )
                })
            };
            missed.extend(within("requests failed", blow.requests_ms, NORMAL));
            if database {
                let since = blow.requests_ms - blow.start_ms;
                missed.extend(within("requests failed with it answering", since, DATABASE_NORMAL));
            }
            let start = Duration::from_secs_f64(blow.start_ms / 1_000.0);
            let limit = if is(Victim::Kafka) { BROKER_NORMAL + start * 2 } else { NORMAL };
            let took = blow.asynchronous_ms;
            late.extend(within("events or mails were behind", took, limit + away));
        }
        if late.len() * BLOWS_A_DELAY > self.blows.len() {
            missed.append(&mut late);
        }
        let switches = self.blows.len().div_ceil(BLOWS_A_SWITCH);
        if away <= SHORTLY && usize::try_from(self.switches).unwrap_or_default() < switches {
            let most = self.refusals.iter().max_by_key(|(_, times)| **times);
            let why = most.map(|(why, times)| format!("; refused {times} times: {why}"));
            missed.push(format!(
                "{} changes of owner; {switches} at least were to come about{}; `ficus move notifications status` tells \
                 more",
                self.switches,
                why.unwrap_or_default()
            ));
        }
        let AtRest { due, answered } = self.at_rest;
        if (due - answered) * 200 > due {
            missed.push(format!(
                "{answered} of {due} requests were answered outside of blows; 99.5 % were to be"
            ));
        }
        let counted = |v: &Verdict| (v.acknowledged, v.acknowledged + v.refused + v.unknown);
        let (acknowledged, writes) = self.verdict.as_ref().map_or((0, 0), counted);
        if away <= SHORTLY && acknowledged * 10 < writes * 8 {
            missed.push(format!(
                "{acknowledged} of {writes} writes were acknowledged; 80 % at least were to be"
            ));
        }
        // Nobody waits for the broker.
        let Requests { sent, answered, .. } = self.requests;
        let broker_alone = self.blows.iter().all(|blow| blow.victim == Victim::Kafka.name());
        if broker_alone && (sent - answered) * 10_000 > sent {
            missed.push(format!(
                "{answered} of {sent} requests were answered while the broker was away now and then; 99.99 % were to be"
            ));
        }
        (missed, late)
    }

    /// For a person.
    pub fn text(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header([
            "victim",
            "killed",
            "frozen",
            "start p50/max",
            "requests p50/max",
            "asynchronous p50/max",
        ]);
        let victims: BTreeSet<_> = self.blows.iter().map(|blow| blow.victim).collect();
        for victim in victims {
            let of = || self.blows.iter().filter(|blow| blow.victim == victim);
            let times = |of: &BTreeMap<_, usize>| of.get(victim).copied().unwrap_or(0).to_string();
            table.add_row([
                victim.to_owned(),
                times(&self.kills),
                times(&self.freezes),
                quantiles(of().map(|blow| blow.start_ms)).text(),
                quantiles(of().map(|blow| blow.requests_ms)).text(),
                quantiles(of().map(|blow| blow.asynchronous_ms)).text(),
            ]);
        }
        let Requests { sent, answered, shed } = self.requests;
        let AtRest { due, answered: at_rest } = self.at_rest;
        let mut text = format!(
            "{table}\n\n{} blows in {:.0} s; {} changes of owner; {sent} requests, {answered} answered, {shed} shed; \
             outside of blows {at_rest} of {due} answered; {} sessions begun anew",
            self.blows.len(),
            self.seconds,
            self.switches,
            self.signed_in_again
        );
        if let Some(verdict) = &self.verdict {
            let _ = write!(
                text,
                "\n{} writes acknowledged, {} refused, {} unknown (repeated: {} done, {} refused)\n\
                 {} lost, {} doubled, {} out of order, {} stale; {} mails repeated by a crash while they were sent",
                verdict.acknowledged,
                verdict.refused,
                verdict.unknown,
                verdict.unknown_done,
                verdict.unknown_converged - verdict.unknown_done,
                verdict.lost,
                verdict.doubled,
                verdict.out_of_order,
                verdict.stale,
                verdict.mails_repeated
            );
        }
        for late in &self.late {
            let _ = write!(text, "\n{late}, which happens after one blow of ten at most");
        }
        for missed in &self.missed {
            let _ = write!(text, "\nnot as promised: {missed}");
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
    use std::time::Duration;

    use super::{AtRest, BlowReport, KillReport, Requests, Verdict, Victim, quantiles};

    fn blow(victim: Victim, [start_ms, requests_ms, asynchronous_ms]: [f64; 3]) -> BlowReport {
        let (at_seconds, victim, frozen_seconds) = (1.0, victim.name(), None);
        BlowReport { at_seconds, victim, frozen_seconds, start_ms, requests_ms, asynchronous_ms }
    }

    /// What a run with these blows and a change of owner for each missed.
    fn missed(blows: Vec<BlowReport>, away: u64) -> Vec<String> {
        let requests = Requests { sent: 20_000, answered: 20_000, shed: 0 };
        let switches = i64::try_from(blows.len()).expect("few");
        let mut report = KillReport { switches, requests, blows, ..KillReport::default() };
        report.sum_up(Duration::from_secs(away));
        report.missed
    }

    #[test]
    fn what_takes_too_long_is_missed() {
        use Victim::{Gateway, Kafka, PostgresMonolith};
        let fine = [
            blow(Gateway, [900.0, 15_000.0, 15_000.0]),
            blow(Kafka, [4_000.0, 0.0, 68_000.0]),
            blow(PostgresMonolith, [4_000.0, 8_000.0, 9_000.0]),
        ];
        assert_eq!(missed(fine.into(), 0), [""; 0]);
        let told = |of, what: &str| {
            let missed = missed(vec![of], 0);
            assert!(missed.len() == 1 && missed[0].contains(what), "{missed:?}");
        };
        told(
            blow(Gateway, [900.0, 15_100.0, 0.0]),
            "blow 1, on gateway, requests failed for 15.1 s",
        );
        told(blow(Gateway, [900.0, 0.0, 15_100.0]), "events or mails were behind for 15.1 s");
        told(blow(Kafka, [4_000.0, 0.0, 68_100.0]), "longer than 68 s");
        told(blow(PostgresMonolith, [4_000.0, 8_100.0, 0.0]), "with it answering for 4.1 s");
        assert_eq!(missed(vec![blow(Kafka, [4_000.0, 0.0, 98_000.0])], 30), [""; 0]);
        let blows = |late: usize| {
            let of = |number| if number < late { 15_100.0 } else { 1_000.0 };
            (0..19).map(|number| blow(Gateway, [900.0, 900.0, of(number)])).collect()
        };
        assert_eq!(missed(blows(1), 0), [""; 0]);
        assert_eq!(missed(blows(2), 0).len(), 2);
    }

    #[test]
    fn owners_that_hardly_change_and_requests_that_wait_for_the_broker_are_missed() {
        let report = |victim, switches, answered| {
            let requests = Requests { sent: 20_000, answered, shed: 0 };
            let blows = (0..5).map(|_| blow(victim, [0.0; 3])).collect();
            let mut report = KillReport { switches, requests, blows, ..KillReport::default() };
            report.sum_up(Duration::ZERO);
            report.missed.concat()
        };
        assert_eq!(report(Victim::Kafka, 2, 19_998), "");
        assert_eq!(report(Victim::Gateway, 2, 19_000), "");
        assert!(report(Victim::Kafka, 2, 19_997).contains("99.99 %"));
        assert!(report(Victim::Gateway, 1, 20_000).contains("1 changes of owner; 2 at least"));
    }

    #[test]
    fn a_run_in_which_hardly_anything_is_written_or_answered_between_blows_is_missed() {
        let report = |acknowledged, answered, away| {
            let verdict =
                Verdict { acknowledged, refused: 1_000 - acknowledged, ..Verdict::default() };
            let mut report = KillReport {
                at_rest: AtRest { due: 1_000, answered },
                verdict: Some(verdict),
                ..KillReport::default()
            };
            report.sum_up(Duration::from_secs(away));
            report.missed.concat()
        };
        assert_eq!(report(800, 995, 1), "");
        assert_eq!(report(799, 995, 30), "");
        assert!(report(799, 995, 1).contains("799 of 1000 writes were acknowledged"));
        assert!(report(800, 994, 1).contains("994 of 1000 requests were answered outside"));
    }

    #[test]
    fn too_few_changes_of_owner_are_told_with_what_stood_against_them_most_often() {
        let refusals = [("other".to_owned(), 1), ("stream is behind".to_owned(), 7)].into();
        let mut report = KillReport {
            refusals,
            blows: vec![blow(Victim::Gateway, [0.0; 3])],
            ..KillReport::default()
        };
        report.sum_up(Duration::ZERO);
        assert!(report.missed.concat().contains("refused 7 times: stream is behind"));
    }

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
