//! A trace as text: a line a span, and beside it when it ran.

use std::collections::HashSet;

use prost_types::Timestamp;

use super::{
    otlp::Span,
    tree::{At, Place, Row},
};

/// What stands right of the name but for the bar: kind, start, duration and the gaps.
const COLUMNS: usize = 8 + 9 + 9 + 4 * 2;
const SECOND: u64 = 1_000_000_000;

/// When the trace began and ended, in nanoseconds since 1970.
#[derive(Clone, Copy)]
struct Whole {
    start: u64,
    end: u64,
}

/// The tree, `width` columns wide; what went wrong is told whole, however long.
pub(super) fn trace(id: &str, rows: &[Row<'_>], width: usize) -> String {
    let whole = whole(rows);
    let bar = (width - COLUMNS) / 4;
    let name = width - COLUMNS - bar;
    let mut lines = head(id, rows, whole);
    lines.push(columns(name, "", "kind", "start", "took", ""));
    for row in rows {
        match row {
            Row::Linked { last } => lines.push(format!("{}linked", branch(last))),
            Row::Span(at) => {
                lines.push(line(at, whole, name, bar));
                let under = under(at);
                lines.extend(notes(at).into_iter().map(|note| format!("{under}{note}")));
            }
        }
    }
    lines.join("\n")
}

fn spans<'a>(rows: &'a [Row<'a>]) -> impl Iterator<Item = &'a At<'a>> {
    rows.iter().filter_map(|row| match row {
        Row::Span(at) => Some(at),
        Row::Linked { .. } => None,
    })
}

fn whole(rows: &[Row<'_>]) -> Whole {
    let start = spans(rows).map(|at| at.span.start).min().unwrap_or_default();
    let end = spans(rows).map(|at| at.span.end).max().unwrap_or_default();
    Whole { start, end }
}

fn head(id: &str, rows: &[Row<'_>], whole: Whole) -> Vec<String> {
    let services: HashSet<&str> = spans(rows).map(|at| at.span.service.as_str()).collect();
    let failed = spans(rows).filter(|at| at.span.status == "error").count();
    let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    vec![
        format!("trace {id}"),
        format!(
            "{} of {}, {}, {}; began {}",
            count(spans(rows).count(), "span"),
            count(services.len(), "service"),
            time(whole.end.saturating_sub(whole.start)),
            count(failed, "error"),
            date(whole.start),
        ),
    ]
}

/// RFC 3339, to the microsecond.
pub(super) fn date(nanoseconds: u64) -> String {
    let seconds = i64::try_from(nanoseconds / SECOND).unwrap_or_default();
    let nanos = i32::try_from(nanoseconds % SECOND).unwrap_or_default();
    Timestamp { seconds, nanos: nanos / 1000 * 1000 }.to_string()
}

/// `417 µs`, `12.3 ms` or `12.3 s`: at most nine characters for a week.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(super) fn time(nanoseconds: u64) -> String {
    match nanoseconds {
        0..1_000_000 => format!("{} µs", nanoseconds / 1000),
        1_000_000..10_000_000_000 => format!("{:.1} ms", nanoseconds as f64 / 1e6),
        _ => format!("{:.1} s", nanoseconds as f64 / 1e9),
    }
}

fn line(at: &At<'_>, whole: Whole, name: usize, bar: usize) -> String {
    let span = at.span;
    let label = format!("{}{} {}", branch(&at.last), clean(&span.service), clean(&span.name));
    columns(
        name,
        &cut(&label, name),
        span.kind,
        &time(span.start.saturating_sub(whole.start)),
        &time(span.end.saturating_sub(span.start)),
        &bar_of(span, whole, bar),
    )
}

fn columns(width: usize, name: &str, kind: &str, start: &str, took: &str, bar: &str) -> String {
    let line = format!("{name:width$}  {kind:8}  {start:>9}  {took:>9}  {bar}");
    line.trim_end().to_owned()
}

/// Where in the whole the span lies; a short one is one cell.
fn bar_of(span: &Span, whole: Whole, cells: usize) -> String {
    let all = u128::from(whole.end.saturating_sub(whole.start)).max(1);
    let cell = |at: u64| u128::from(at.saturating_sub(whole.start)) * cells as u128;
    let from = usize::try_from(cell(span.start) / all).unwrap_or(cells).min(cells - 1);
    let to = usize::try_from(cell(span.end).div_ceil(all)).unwrap_or(cells).clamp(from + 1, cells);
    format!("{}{}", " ".repeat(from), "━".repeat(to - from))
}

/// What the columns have no room for.
fn notes(at: &At<'_>) -> Vec<String> {
    let span = at.span;
    let mut notes = Vec::new();
    if span.status == "error" {
        let message = if span.message.is_empty() { "no message" } else { &span.message };
        notes.push(format!("! error: {}", clean(message)));
    }
    if let (Place::Orphan, Some(parent)) = (at.place, &span.parent) {
        notes.push(format!("? its parent {parent} is not in the trace"));
    }
    for link in span.links.iter().filter(|link| link.trace != span.trace) {
        notes.push(format!("~ linked to trace {}", link.trace));
    }
    notes
}

/// The lines that lead to a span.
fn branch(last: &[bool]) -> String {
    let Some((own, above)) = last.split_last() else { return String::new() };
    passing(above) + if *own { "└─ " } else { "├─ " }
}

/// The lines that pass by what is said below a span.
fn under(at: &At<'_>) -> String {
    passing(&at.last) + if at.has_more { "│  " } else { "   " }
}

fn passing(last: &[bool]) -> String {
    last.iter().map(|last| if *last { "   " } else { "│  " }).collect()
}

/// A sender's text must not steer the reader's terminal.
pub(super) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
