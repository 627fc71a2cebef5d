//! A run's figures for people.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table};
use ficus_load::{CallReport, Milliseconds, Spacing, Tally, TesterReport};

use crate::table;

pub(super) fn of(report: &TesterReport, tally: &Tally) -> String {
    let lag = (tally.due > 0).then(|| Milliseconds::of(&tally.lag));
    let lag = ("the tester's own lag", lag);
    let mut text = format!("{}\n{}", head(report), times(report, &[lag]));
    if !report.calls.is_empty() {
        let _ = write!(text, "\n{}", calls(&report.calls));
    }
    if !tally.errors.is_empty() {
        let _ = write!(text, "\n{}", errors(tally));
    }
    if let Some((latency, trace)) = tally.slowest {
        let _ = write!(
            text,
            "\nslowest of the traced: {:.1} ms, ficus trace {trace:032x}",
            latency.as_secs_f64() * 1_000.0
        );
    }
    text
}

/// A report that was read: of it less is known.
pub(super) fn of_report(report: &TesterReport) -> String {
    let mut text = format!("{}\n{}", head(report), times(report, &[]));
    if !report.calls.is_empty() {
        let _ = write!(text, "\n{}", calls(&report.calls));
    }
    if !report.errors.is_empty() {
        let mut table = table::new();
        table.set_header(["error", "requests"]);
        for (kind, count) in &report.errors {
            table.add_row([kind.clone(), count.to_string()]);
        }
        let _ = write!(text, "\n{table}");
    }
    text
}

fn head(report: &TesterReport) -> String {
    let poisson = if report.spacing == Some(Spacing::Poisson) { " (poisson)" } else { "" };
    format!(
        "{}\n{:.1} of {:.1} requests/s{poisson} over {:.1} s: {} sent, {} answered as wanted, {} shed",
        report.target,
        report.achieved_rate,
        report.target_rate,
        report.duration_s,
        report.sent,
        report.ok,
        report.shed,
    )
}

fn times(report: &TesterReport, more: &[(&str, Option<Milliseconds>)]) -> Table {
    let mut table = table::new();
    table.set_header(["ms", "p50", "p90", "p99", "p99.9", "max"]);
    let told = [
        ("latency, from when each was due", report.latency_ms),
        ("service time, from when each left", report.service_ms),
    ];
    for &(name, of) in told.iter().chain(more) {
        table.add_row(std::iter::once(name.to_owned()).chain(figures(of)));
    }
    right(&mut table, 1);
    table
}

fn calls(calls: &[CallReport]) -> Table {
    let mut table = table::new();
    table.set_header(["call", "due", "ok", "errors", "p50 ms", "p90", "p99", "p99.9", "max"]);
    for call in calls {
        let counts = [call.due, call.ok, call.errors].map(|count| count.to_string());
        let times = figures(call.latency_ms);
        table.add_row(std::iter::once(call.name.clone()).chain(counts).chain(times));
    }
    right(&mut table, 1);
    table
}

fn figures(of: Option<Milliseconds>) -> [String; 5] {
    let Some(of) = of else { return [(); 5].map(|()| "–".to_owned()) };
    [of.p50, of.p90, of.p99, of.p999, of.max].map(|ms| format!("{ms:.2}"))
}

fn right(table: &mut Table, from: usize) {
    for column in table.column_iter_mut().skip(from) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn errors(tally: &Tally) -> Table {
    let mut table = table::new();
    table.set_header(["error", "requests", "the first one said"]);
    for (kind, failed) in &tally.errors {
        table.add_row([kind.clone(), failed.count.to_string(), failed.first.clone()]);
    }
    table
}
