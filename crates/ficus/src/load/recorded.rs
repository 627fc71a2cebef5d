//! When requests once came.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};

/// Since the first of them, in order. A line is a request: seconds, or a time as RFC 3339 has it, and after a space
/// whatever a log has more. Fails with the line that is neither.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<Duration>> {
    let text =
        fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    parse(&text).with_context(|| format!("{} is no record of requests", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Vec<Duration>> {
    let mut seconds = Vec::new();
    let mut are_times = None;
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let first = line.split_whitespace().next().unwrap_or_default();
        let plain = first.parse().ok().filter(|at: &f64| at.is_finite());
        let is_time = plain.is_none();
        let at = plain.or_else(|| time(first)).with_context(|| {
            format!(
                "line {number} begins with \"{first}\", neither seconds, as 12.5, nor a time, as \
                 2026-11-28T10:00:00.123Z"
            )
        })?;
        ensure!(
            *are_times.get_or_insert(is_time) == is_time,
            "line {number} begins with \"{first}\", those before it are of the other kind; a record has seconds or \
             times, not both"
        );
        seconds.push(at);
    }
    ensure!(!seconds.is_empty(), "it has no line");
    seconds.sort_by(f64::total_cmp);
    let from = seconds[0];
    let since = |at| Duration::try_from_secs_f64(at - from).ok();
    let all: Option<_> = seconds.into_iter().map(since).collect();
    all.context("its times are too far apart; does each line begin with one?")
}

/// Seconds since 1970.
fn time(text: &str) -> Option<f64> {
    let time: DateTime<Utc> = text.trim_matches(['[', ']', '"']).parse().ok()?;
    #[expect(clippy::cast_precision_loss, reason = "a double holds today's microseconds")]
    let micros = time.timestamp_micros() as f64;
    Some(micros / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(text: &str) -> Vec<u128> {
        parse(text).expect("a record").iter().map(Duration::as_millis).collect()
    }

    #[test]
    fn a_record_is_seconds_or_times_in_any_order() {
        assert_eq!(milliseconds("10.5 GET /\n10\n\n12"), [0, 500, 2_000]);
        let log = "2026-11-28T10:00:01.250Z GET /\n[2026-11-28T11:00:00+01:00] GET /\n";
        assert_eq!(milliseconds(log), [0, 1_250]);
    }

    #[test]
    fn what_is_none_is_told_with_its_line() {
        let error = format!("{:#}", parse("1\nsoon\n").expect_err("no time"));
        assert!(
            error.starts_with("line 2 begins with \"soon\", neither seconds, as 12.5"),
            "{error}"
        );
        let error = parse("1\n2\n2026-11-28T10:00:00Z\n").expect_err("mixed").to_string();
        assert!(error.starts_with("line 3 begins with") && error.contains("not both"), "{error}");
        assert!(parse("\n").is_err());
        let error = parse("1\n123456789012345678901234567890\n").expect_err("no time").to_string();
        assert!(error.contains("too far apart"), "{error}");
    }
}
