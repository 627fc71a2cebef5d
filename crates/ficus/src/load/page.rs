//! A run as a page with charts for a browser: one file that loads nothing from anywhere.

use std::collections::BTreeMap;

use anyhow::Context as _;
use askama::Template;
use ficus_load::{Failed, Milliseconds, Plan, Second, TesterReport, page};
use serde::Serialize;

use super::{
    Ran,
    capacity::{Step, tenths as known},
    metrics::Chart,
};

/// Ranges of latency to a decade, in the chart of where latencies lie.
const A_DECADE: f64 = 8.0;

#[derive(Template)]
#[template(path = "load.html")]
pub(super) struct Page<'a> {
    report: &'a TesterReport,
    errors: &'a BTreeMap<String, Failed>,
    troubles: &'a [String],
    /// What is said if there are none.
    well: String,
    steps: &'a [Step],
    charts: &'a [Chart],
    started_at: &'a str,
    warm_up: f64,
    /// What the charts show; ends no script, for each `<` is escaped.
    json: String,
    script: &'static str,
}

/// What the page's script reads.
#[derive(Serialize)]
struct Run<'a> {
    warm_up: f64,
    seconds: Vec<Point>,
    heat: Heat,
    charts: &'a [Chart],
    steps: &'a [Step],
}

/// One second; times in milliseconds, none if nothing was answered as wanted.
#[derive(Serialize)]
struct Point {
    second: usize,
    due: u64,
    ok: u64,
    failed: u64,
    shed: u64,
    p50: Option<f64>,
    p99: Option<f64>,
    max: Option<f64>,
}

/// How many requests of each second lie in each range of latency.
#[derive(Debug, PartialEq, Serialize)]
struct Heat {
    /// Milliseconds; one more than there are ranges.
    bounds: Vec<f64>,
    counts: Vec<Vec<u64>>,
}

impl<'a> Page<'a> {
    pub fn new(
        plan: &Plan,
        ran: &'a Ran,
        troubles: &'a [String],
        started_at: &'a str,
        search: Option<(&'a [Step], String)>,
    ) -> Self {
        let (steps, well) = search.unwrap_or_else(|| (&[], all_well(&ran.report)));
        let seconds: Vec<Second> = ran.series.seconds().collect();
        let run = Run {
            warm_up: plan.warm_up.as_secs_f64(),
            seconds: seconds.iter().enumerate().map(Point::of).collect(),
            heat: Heat::of(&seconds),
            charts: &ran.charts,
            steps,
        };
        let json = serde_json::to_string(&run).unwrap_or_default().replace('<', "\\u003c");
        Self {
            report: &ran.report,
            errors: &ran.tally.errors,
            troubles,
            well,
            steps,
            charts: &ran.charts,
            started_at,
            warm_up: run.warm_up,
            json,
            script: include_str!("../../templates/load.js"),
        }
    }

    pub fn html(&self) -> anyhow::Result<String> {
        self.render().context("failed to render the page")
    }
}

fn all_well(report: &TesterReport) -> String {
    match report.sent - report.ok + report.shed {
        0 => "Every request was answered as wanted.".to_owned(),
        bad => format!("{bad} requests failed or were shed."),
    }
}

impl Point {
    fn of((second, of): (usize, &Second)) -> Self {
        let at = |quantile| {
            let there = !of.latency.is_empty();
            there.then(|| milliseconds(of.latency.value_at_quantile(quantile)))
        };
        Self {
            second,
            due: of.due,
            ok: of.ok,
            failed: of.failed,
            shed: of.shed,
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
        }
    }
}

impl Heat {
    /// As many ranges as there are between the fastest and the slowest request.
    fn of(seconds: &[Second]) -> Self {
        let columns: Vec<BTreeMap<i32, u64>> = seconds.iter().map(ranges).collect();
        let all = || columns.iter().flat_map(BTreeMap::keys).copied();
        let (low, high) = (all().min().unwrap_or(0), all().max().unwrap_or(0));
        let bound = |range: i32| 10_f64.powf(f64::from(range) / A_DECADE) / 1_000.0;
        Self {
            bounds: (low..=high + 1).map(bound).collect(),
            counts: columns
                .iter()
                .map(|column| {
                    (low..=high).map(|range| column.get(&range).copied().unwrap_or(0)).collect()
                })
                .collect(),
        }
    }
}

/// Counts by range, of which 0 begins at a microsecond.
fn ranges(second: &Second) -> BTreeMap<i32, u64> {
    let mut counts = BTreeMap::new();
    for recorded in second.latency.iter_recorded() {
        let micros = milliseconds(recorded.value_iterated_to()) * 1_000.0;
        #[expect(clippy::cast_possible_truncation, reason = "at most 8 times 10 decades")]
        let range = (micros.log10() * A_DECADE).floor() as i32;
        *counts.entry(range).or_insert(0) += recorded.count_since_last_iteration();
    }
    counts
}

#[expect(clippy::cast_precision_loss, reason = "an hour at most")]
fn milliseconds(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

fn tenths(value: f64) -> String {
    format!("{value:.1}")
}

/// Percentiles as the page shows them.
struct Times {
    p50: String,
    p90: String,
    p99: String,
    p999: String,
    max: String,
}

fn times(of: Option<Milliseconds>) -> Times {
    let one = |one: fn(Milliseconds) -> f64| known(of.map(one));
    Times {
        p50: one(|of| of.p50),
        p90: one(|of| of.p90),
        p99: one(|of| of.p99),
        p999: one(|of| of.p999),
        max: one(|of| of.max),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(micros: &[u64]) -> Second {
        let mut second = Second::default();
        for &one in micros {
            second.latency.record(one).expect("within bounds");
        }
        second
    }

    #[test]
    fn heat_has_a_column_a_second_and_a_row_a_range() {
        let heat = Heat::of(&[second(&[1_000, 1_010]), second(&[]), second(&[10_100])]);
        assert_eq!(heat.counts.len(), 3);
        assert!(heat.counts.iter().all(|column| column.len() + 1 == heat.bounds.len()));
        assert_eq!(heat.counts[0][0], 2);
        assert_eq!(heat.counts[2].last(), Some(&1));
        assert_eq!(heat.counts[1].iter().sum::<u64>(), 0);
        assert!(heat.bounds[0] <= 1.01 && *heat.bounds.last().expect("bounds") > 10.0);
    }

    #[test]
    fn nothing_at_all_has_a_page_too() {
        assert_eq!(Heat::of(&[]).counts.len(), 0);
        assert_eq!(Point::of((0, &second(&[]))).p50, None);
    }
}
