//! What was written by earlier runs, and what could be run.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, anyhow};
use comfy_table::CellAlignment;
use ficus_load::{Comparison, Judged, Measured, TesterReport};
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
    for (path, report) in [(a, &of_a), (b, &of_b)] {
        if let Some(why) = &report.why_void {
            out::warn(format_args!("{} is void: {}", path.display(), why.0));
        }
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
    Ok(exit::of(!compared.is_worse()))
}

fn of_comparison(compared: &Comparison) -> comfy_table::Table {
    let mut table = table::new();
    table.set_header(["", "A", "99 % within", "B", "99 % within", "B is"]);
    for figure in &compared.figures {
        let judged = match figure.judged {
            Judged::Better => "better",
            Judged::Worse => "worse",
            Judged::Same => "the same",
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

/// The sum of all, with the first one's head.
pub(super) fn merge(paths: &[PathBuf], out: Option<&Path>, json: bool) -> anyhow::Result<ExitCode> {
    let mut reports = Vec::new();
    let mut head = None;
    for path in paths {
        let (report, value) = read(path)?;
        reports.push(report);
        head.get_or_insert(value);
    }
    let merged = TesterReport::merged(&reports).map_err(|error| anyhow!(error))?;
    let mut value = head.unwrap_or(Value::Null);
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
    Ok(exit::of(true))
}

fn read(path: &Path) -> anyhow::Result<(TesterReport, Value)> {
    let text =
        fs::read_to_string(path).with_context(|| format!("failed to read {}", path.display()))?;
    let value: anyhow::Result<Value> = serde_json::from_str(&text).map_err(Into::into);
    let report = value.and_then(|value| Ok((serde_json::from_value(value.clone())?, value)));
    report.with_context(|| {
        format!("{} is no report of a run; `ficus load … --out FILE` writes one", path.display())
    })
}
