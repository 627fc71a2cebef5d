//! A run's figures for people.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table};
use ficus_load::{Milliseconds, Tally, TesterReport};

use crate::table;

pub(super) fn of(report: &TesterReport, tally: &Tally) -> String {
    let mut text = format!(
        "{}\n{:.1} of {:.1} requests/s over {:.1} s: {} sent, {} answered as wanted, {} shed\n{}",
        report.target,
        report.achieved_rate,
        report.target_rate,
        report.duration_s,
        report.sent,
        report.ok,
        report.shed,
        times(report, tally),
    );
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

fn times(report: &TesterReport, tally: &Tally) -> Table {
    let mut table = table::new();
    table.set_header(["ms", "p50", "p90", "p99", "p99.9", "max"]);
    for (name, of, there) in [
        ("latency, from when each was due", report.latency_ms, report.ok > 0),
        ("service time, from when each left", report.service_ms, report.ok > 0),
        ("the tester's own lag", Milliseconds::of(&tally.lag), tally.due > 0),
    ] {
        let figure = |ms: f64| if there { format!("{ms:.2}") } else { "–".to_owned() };
        let figures = [of.p50, of.p90, of.p99, of.p999, of.max].map(figure);
        table.add_row(std::iter::once(name.to_owned()).chain(figures));
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn errors(tally: &Tally) -> Table {
    let mut table = table::new();
    table.set_header(["error", "requests", "the first one said"]);
    for (kind, failed) in &tally.errors {
        table.add_row([kind.clone(), failed.count.to_string(), failed.first.clone()]);
    }
    table
}
