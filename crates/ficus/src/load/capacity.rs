//! The highest rate at which an SLO is met: one run after the other, up by half until it breaks, then between.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use comfy_table::CellAlignment;
use ficus_load::{Plan, Schedule, Shape, TesterReport};
use serde::Serialize;

use super::{
    Ran,
    page::Page,
    plan::{Made, traces},
    told, troubles,
};
use crate::{cli::LoadCommand, exit, out, table};

/// Runs at most.
pub(super) const RUNS: u32 = 16;
const UP: f64 = 1.5;
/// The rate is known well enough when what is met and what is not are no further apart.
const CLOSE: f64 = 1.1;
/// Below this there is nothing to find.
const LEAST: f64 = 1.0;

/// One rate that was tried.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Step {
    /// Requests a second.
    pub rate: f64,
    pub achieved: f64,
    /// Milliseconds; none if nothing was answered as wanted.
    pub p50: Option<f64>,
    pub p99: Option<f64>,
    /// Percent.
    pub errors: f64,
    pub holds: bool,
    /// The tester itself was late or busy: nothing is known of the target.
    pub void: bool,
}

/// What was found.
#[derive(Serialize)]
struct Found {
    target: String,
    /// Requests a second; none if not even the lowest rate was met.
    capacity: Option<f64>,
    /// Higher rates were not tried to the end: the tester was the bottleneck, or somebody stopped it.
    at_least: bool,
    /// Somebody stopped it.
    stopped: bool,
    steps: Vec<Step>,
    /// The report of the last run that came to its end, or of the only one.
    last: TesterReport,
}

pub(super) async fn find(
    command: &LoadCommand,
    made: &Made,
    started_at: String,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let Schedule::Rate { shape, spacing } = &made.plan.schedule else {
        bail!("--find-capacity chooses rates by itself; give it no recorded ones");
    };
    let spacing = *spacing;
    let mut search = Search { steps: Vec::new(), next: Some(shape.mean()) };
    let mut last: Option<Ran> = None;
    let (mut number, mut stopped, mut was_void) = (0, false, false);
    while let Some(rate) = search.next {
        let schedule = Schedule::Rate { shape: Shape::constant(rate), spacing };
        let plan = Plan { schedule, traces: traces(), first_number: number, ..made.plan.clone() };
        let ran = super::once(&plan, made).await?;
        number += ran.series.seconds().map(|second| second.due).sum::<u64>();
        stopped = ran.stopped;
        if stopped {
            last.get_or_insert(ran);
            break;
        }
        let step = Step::of(rate, made, &ran);
        if !json {
            out::warn(step.line());
        }
        // A moment of the machine's own is no end of the search.
        let again = step.void && !was_void;
        was_void = step.void;
        if again {
            continue;
        }
        search.took(step);
        last = Some(ran);
    }
    let last = last.context("nothing was run")?;
    let found = search.found(last.report.clone(), stopped);
    let value = serde_json::to_value(told(&made.plan, started_at.clone(), &found))?;
    let mut said: Vec<_> = (!found.is_sure()).then(|| found.told()).into_iter().collect();
    if found.capacity.is_none() {
        said.extend(troubles(made.slo.as_ref(), &last));
    }
    if json {
        out::say_json(&value)?;
    } else {
        out::say(found.table())?;
    }
    // The first of them is in the table already.
    for trouble in said.iter().skip(1) {
        out::warn(trouble);
    }
    let page =
        Page::new(&made.plan, &last, &said, &started_at, Some((&*found.steps, found.told())));
    super::keep(command, &value, &page, json)?;
    Ok(exit::of(found.is_sure()))
}

/// Which rate is next.
struct Search {
    steps: Vec<Step>,
    next: Option<f64>,
}

impl Search {
    fn took(&mut self, step: Step) {
        self.steps.push(step);
        self.next = self.rate_after().filter(|_| self.steps.len() < RUNS as usize);
    }

    /// The highest rate that was met, and the lowest that was not.
    fn bounds(&self) -> (Option<f64>, Option<f64>) {
        let of = |holds| self.steps.iter().filter(move |s| s.holds == holds).map(|s| s.rate);
        (of(true).reduce(f64::max), of(false).reduce(f64::min))
    }

    fn rate_after(&self) -> Option<f64> {
        if self.steps.last().is_some_and(|step| step.void) {
            return None;
        }
        match self.bounds() {
            (Some(met), None) => Some(met * UP),
            (None, Some(missed)) => Some(missed / 2.0).filter(|rate| *rate >= LEAST),
            (Some(met), Some(missed)) => (missed > met * CLOSE).then(|| (met * missed).sqrt()),
            (None, None) => None,
        }
    }

    fn found(self, last: TesterReport, stopped: bool) -> Found {
        let (capacity, missed) = self.bounds();
        let void = self.steps.iter().any(|step| step.void);
        Found {
            target: last.target.clone(),
            capacity,
            at_least: void || missed.is_none() || self.next.is_some(),
            stopped,
            steps: self.steps,
            last,
        }
    }
}

impl Step {
    fn of(rate: f64, made: &Made, ran: &Ran) -> Self {
        Self {
            rate,
            achieved: ran.report.achieved_rate,
            p50: ran.report.latency_ms.map(|times| times.p50),
            p99: ran.report.latency_ms.map(|times| times.p99),
            errors: ran.tally.errors_share() * 100.0,
            holds: troubles(made.slo.as_ref(), ran).is_empty(),
            void: ran.report.void,
        }
    }

    fn line(&self) -> String {
        let p99 = tenths(self.p99);
        format!("{:.0} requests/s: p99 {p99} ms, {}", self.rate, self.told())
    }

    pub fn told(&self) -> &'static str {
        match self {
            Self { void: true, .. } => "void: the tester was the bottleneck",
            Self { holds: true, .. } => "met",
            _ => "not met",
        }
    }
}

impl Found {
    /// The search came to its end, and there is a rate at which the SLO was met.
    fn is_sure(&self) -> bool {
        self.capacity.is_some() && !self.stopped && !self.steps.iter().any(|step| step.void)
    }

    fn table(&self) -> String {
        let mut table = table::new();
        table.set_header(["requests/s", "achieved", "p50 ms", "p99 ms", "errors", "SLO"]);
        let mut steps: Vec<_> = self.steps.iter().collect();
        steps.sort_by(|a, b| a.rate.total_cmp(&b.rate));
        for step in steps {
            table.add_row([
                format!("{:.1}", step.rate),
                format!("{:.1}", step.achieved),
                tenths(step.p50),
                tenths(step.p99),
                format!("{:.2} %", step.errors),
                step.told().to_owned(),
            ]);
        }
        for column in table.column_iter_mut().take(5) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        format!("{}\n{table}\n{}", self.target, self.told())
    }

    fn told(&self) -> String {
        let missed = self.steps.iter().any(|step| !step.holds && !step.void);
        let why = if self.stopped {
            "; stopped before the search was over"
        } else if self.capacity.is_some() && self.steps.iter().any(|step| step.void) {
            "; at the next one the tester was the bottleneck, twice"
        } else {
            ""
        };
        let found = match (self.capacity, self.at_least) {
            (Some(rate), false) => format!("capacity: {rate:.0} requests/s"),
            (Some(rate), true) => format!("capacity: at least {rate:.0} requests/s"),
            (None, _) if missed => "the SLO was met at no rate".to_owned(),
            (None, _) => "no rate was tried to its end: nothing is known of the target".to_owned(),
        };
        found + why
    }
}

/// What nobody knows is a dash.
pub(super) fn tenths(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.1}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(rate: f64, holds: bool) -> Step {
        let (p50, p99) = (Some(1.0), Some(2.0));
        Step { rate, achieved: rate, p50, p99, errors: 0.0, holds, void: false }
    }

    /// Rates that are tried of a target that can take so much.
    fn tried(begin: f64, capacity: f64) -> (Vec<f64>, Option<f64>) {
        let mut search = Search { steps: Vec::new(), next: Some(begin) };
        while let Some(rate) = search.next {
            search.took(step(rate, rate <= capacity));
        }
        let (met, _) = search.bounds();
        (search.steps.iter().map(|step| step.rate).collect(), met)
    }

    #[test]
    fn the_capacity_is_found_from_below_and_from_above() {
        for (begin, capacity) in [(100.0, 1_000.0), (1_000.0, 90.0), (100.0, 100.0), (3.0, 2.0)] {
            let (tried, met) = tried(begin, capacity);
            let met = met.expect("some rate is met");
            assert!(met <= capacity && met * CLOSE >= capacity * 0.99, "{met} {tried:?}");
            assert!(tried.len() <= RUNS as usize, "{tried:?}");
        }
    }

    #[test]
    fn what_is_met_at_no_rate_or_at_all_of_them_comes_to_an_end() {
        let (rates, met) = tried(100.0, 0.0);
        assert_eq!((rates.len(), met), (7, None));
        let (rates, _) = tried(1.0, f64::INFINITY);
        assert_eq!(rates.len(), RUNS as usize);
        let mut search = Search { steps: Vec::new(), next: Some(10.0) };
        search.took(Step { void: true, ..step(10.0, false) });
        assert_eq!(search.next, None);
    }
}
