//! What was written by earlier runs, and what could be run.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, anyhow, bail, ensure};
use chrono::{DateTime, TimeDelta, Utc};
use comfy_table::CellAlignment;
use ficus_load::{Comparison, Judged, Measured, TesterReport, Void};
use serde_json::{Value, json};

use super::{
    scenario::{self, Scenario},
    table::of_report,
    write,
};
use crate::{exit, out, table};

/// Every scenario under the folder.
pub(super) fn list(folder: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let mut all = Vec::new();
    for found in scenario::all(folder) {
        let scenario = Scenario::read(&found.path)?;
        let calls: Vec<_> = scenario.call.iter().map(|call| call.name.clone()).collect();
        all.push((found.name, scenario.about, calls));
    }
    if json {
        let lines = all
            .iter()
            .map(|(name, about, calls)| json!({"name": name, "about": about, "calls": calls}));
        out::say_json(&lines.collect())?;
        return Ok(exit::of(true));
    }
    if all.is_empty() {
        out::say(format_args!("{} has no services/<name>/load/*.toml", folder.display()))?;
        return Ok(exit::of(true));
    }
    let mut table = table::new();
    table.set_header(["scenario", "what it is", "calls"]);
    for (name, about, calls) in all {
        table.add_row([name, about, calls.join(", ")]);
    }
    out::say(table)?;
    Ok(exit::of(true))
}

/// What is different in B; `noise` in percent.
pub(super) fn compare(a: &Path, b: &Path, noise: f64, json: bool) -> anyhow::Result<ExitCode> {
    let ((of_a, _), (of_b, _)) = (read(a)?, read(b)?);
    let compared = Comparison::of(&of_a, &of_b, noise / 100.0).map_err(|error| anyhow!(error))?;
    let mut tell = true;
    for (path, report) in [(a, &of_a), (b, &of_b)] {
        for trouble in troubles(path, report) {
            out::warn(trouble);
            tell = false;
        }
    }
    if of_a.spacing != of_b.spacing {
        out::warn("one came evenly spaced, the other as people's requests do or as recorded");
    }
    if of_a.target != of_b.target {
        out::warn(format_args!("two targets: {} and {}", of_a.target, of_b.target));
    }
    if (of_a.target_rate / of_b.target_rate.max(1e-9) - 1.0).abs() > 0.02 {
        out::warn(format_args!(
            "two rates: {:.1} and {:.1} requests/s",
            of_a.target_rate, of_b.target_rate
        ));
    }
    if json {
        out::say_json(&serde_json::to_value(&compared)?)?;
    } else {
        out::say(of_comparison(&compared))?;
    }
    let unknown = compared.figures.iter().filter(|figure| figure.judged == Judged::Unknown);
    let unknown: Vec<_> = unknown.map(|figure| &*figure.name).collect();
    if !unknown.is_empty() {
        out::warn(format_args!(
            "too few requests to tell what is different at {}; let both run for longer",
            unknown.join(", ")
        ));
    }
    Ok(exit::of(tell && !compared.is_worse()))
}

fn of_comparison(compared: &Comparison) -> comfy_table::Table {
    let mut table = table::new();
    table.set_header(["", "A", "99 % within", "B", "99 % within", "B is"]);
    for figure in &compared.figures {
        let judged = match figure.judged {
            Judged::Better => "better",
            Judged::Worse => "worse",
            Judged::Same => "the same",
            Judged::Unknown => "not known",
        };
        let within = |of: Measured| match of.high {
            Some(high) => format!("{:.2} – {high:.2}", of.low),
            None => format!("{:.2} and more", of.low),
        };
        let value = |value: f64| format!("{value:.2} {}", figure.unit);
        table.add_row([
            figure.name.clone(),
            value(figure.a.value),
            within(figure.a),
            value(figure.b.value),
            within(figure.b),
            judged.to_owned(),
        ]);
    }
    for column in table.column_iter_mut().skip(1).take(4) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Why a report says nothing of its target.
fn troubles(path: &Path, report: &TesterReport) -> Vec<String> {
    let void = report.why_void.as_ref().map(|why| format!("{} is void: {}", path.display(), why.0));
    let unanswered =
        (report.ok == 0).then(|| format!("{}: no request was answered as wanted", path.display()));
    void.into_iter().chain(unanswered).collect()
}

/// The sum of all, with the first one's head.
pub(super) fn merge(paths: &[PathBuf], out: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let (mut reports, mut values): (Vec<TesterReport>, Vec<Value>) = (Vec::new(), Vec::new());
    for path in paths {
        let (report, value) = read(path)?;
        if let Some(same) = values.iter().position(|other| *other == value) {
            bail!(
                "{} and {} are reports of the same run; name it once",
                paths[same].display(),
                path.display()
            );
        }
        reports.push(report);
        values.push(value);
    }
    let mut merged = TesterReport::merged(&reports).map_err(|error| anyhow!(error))?;
    let odd = odd(&reports, &values);
    if let Some(first) = odd.first() {
        merged.void = true;
        merged.why_void.get_or_insert_with(|| Void(first.clone()));
    }
    let mut value = values.into_iter().next().unwrap_or(Value::Null);
    if let (Some(all), Value::Object(fields)) =
        (value.as_object_mut(), serde_json::to_value(&merged)?)
    {
        all.extend(fields);
    }
    if let Some(file) = out {
        write(file, &format!("{value}\n"))?;
    }
    if json {
        out::say_json(&value)?;
    } else {
        out::say(of_report(&merged))?;
    }
    let mut tell = true;
    for (path, report) in paths.iter().zip(&reports) {
        for trouble in troubles(path, report) {
            out::warn(trouble);
            tell = false;
        }
    }
    for odd in &odd {
        out::warn(format_args!("void: {odd}"));
    }
    Ok(exit::of(tell && odd.is_empty()))
}

/// What makes it doubtful that these are of testers that sent one load together.
fn odd(reports: &[TesterReport], values: &[Value]) -> Vec<String> {
    let mut odd = Vec::new();
    let shares: BTreeSet<_> =
        reports.iter().map(|report| (report.share.of, report.share.part)).collect();
    let of = reports.first().map_or(1, |report| report.share.of);
    let all = (0..of).map(|part| (of, part)).collect();
    let parts = u32::try_from(reports.len()) == Ok(of);
    if shares.iter().any(|(of, _)| *of > 1) && !(shares == all && parts) {
        let told: Vec<_> = reports.iter().map(|report| report.share.to_string()).collect();
        odd.push(format!(
            "these are no whole schedule: they are shares {}; give every share of one schedule, once",
            told.join(", ")
        ));
    }
    let times = reports.iter().zip(values).filter_map(|(report, value)| {
        let begun: DateTime<Utc> = value["started_at"].as_str()?.parse().ok()?;
        let length = Duration::try_from_secs_f64(report.duration_s).ok()?;
        Some((begun, begun.checked_add_signed(TimeDelta::from_std(length).ok()?)?))
    });
    let (begun, ended): (Vec<_>, Vec<_>) = times.unzip();
    if let (Some(last), Some(first)) = (begun.iter().max(), ended.iter().min())
        && last > first
    {
        odd.push(
            "they were not side by side: one began when another was over, and rates add up only of those that send at \
             the same time"
                .to_owned(),
        );
    }
    odd
}

/// What this program writes.
const SCHEMA: u64 = 1;

fn read(path: &Path) -> anyhow::Result<(TesterReport, Value)> {
    let text =
        fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let value: anyhow::Result<Value> = serde_json::from_str(&text).map_err(Into::into);
    let report = value.and_then(|value| Ok((serde_json::from_value(value.clone())?, value)));
    let (report, value): (TesterReport, Value) = report.with_context(|| {
        format!("{} is no report of a run; `ficus load … --out FILE` writes one", path.display())
    })?;
    let schema = value["schema"].as_u64();
    ensure!(
        schema == Some(SCHEMA),
        "{} has schema {}; this program reads {SCHEMA}",
        path.display(),
        value["schema"]
    );
    Ok((report, value))
}
