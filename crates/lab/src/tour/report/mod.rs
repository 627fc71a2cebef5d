//! What the tour leaves: `.ficus/tour/report.json`, and a line and a table for a person.

use std::fmt::Write as _;

use comfy_table::{Table, presets};
use ficus_load::{Latency, Summary};
use serde::Serialize;
use serde_json::Value;

use super::chapters::{Direction, Step};
use crate::judge::Verdict;

/// The whole. Fields may be added, never taken away or renamed.
#[derive(Serialize)]
pub struct TourReport {
    pub schema: u32,
    pub commit: Option<String>,
    pub seed: u64,
    pub started_at: String,
    pub broker: &'static str,
    pub postgres: Option<String>,
    pub seconds: f64,
    pub verdict: Verdict,
    pub requests: Requests,
    pub chapters: Vec<ChapterReport>,
    pub switches: Vec<Switch>,
    /// The first requests that failed, in words.
    pub failures: Vec<String>,
}

#[derive(Serialize)]
pub struct Requests {
    pub sent: u64,
    pub ok: u64,
    pub failed: u64,
}

#[derive(Serialize)]
pub struct ChapterReport {
    pub n: u32,
    pub title: &'static str,
    pub steps: Vec<StepReport>,
}

#[derive(Serialize)]
pub struct StepReport {
    pub name: &'static str,
    pub requests: u64,
    pub failed: u64,
    pub latency_ms: Around,
    pub sign_up_ms: Around,
    pub rows_moved: Option<u64>,
    pub rows_differing: Option<u64>,
    pub pause_ms: Option<f64>,
    pub commands: Vec<String>,
}

/// Percentiles before, during and after a step.
#[derive(Serialize)]
pub struct Around {
    pub before: Percentiles,
    pub during: Percentiles,
    pub after: Percentiles,
}

#[derive(Serialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p99: f64,
}

/// One change of owner.
#[derive(Serialize)]
pub struct Switch {
    pub capability: &'static str,
    pub direction: &'static str,
    pub epoch: Option<i64>,
    pub at: Option<String>,
    pub pause_ms: Option<f64>,
    pub slowest_ms: f64,
    /// Requests that the gateway held until the owner had changed.
    pub held: usize,
    pub failed: u64,
}

/// What was counted around a step.
pub struct Windows {
    pub before: Summary,
    pub during: Summary,
    pub after: Summary,
    pub whole: Summary,
    pub sign_ups: [Summary; 3],
}

impl Switch {
    pub fn new(direction: Direction, said: &Value, during: &Summary, held: usize) -> Self {
        let switch = &said["switch"];
        Self {
            capability: "notifications",
            direction: direction.name(),
            epoch: switch["epoch"].as_i64(),
            at: switch["at"].as_str().map(str::to_owned),
            pause_ms: switch["pause_ms"].as_f64(),
            slowest_ms: during.latency.max,
            held,
            failed: during.failed,
        }
    }
}

impl StepReport {
    pub fn new(step: &Step, windows: &Windows, status: &Value, said: &Value) -> Self {
        let [before, during, after] = &windows.sign_ups;
        Self {
            name: step.name,
            requests: windows.whole.sent,
            failed: windows.whole.failed,
            latency_ms: around(&windows.before, &windows.during, &windows.after),
            sign_up_ms: around(before, during, after),
            rows_moved: status["rows_copied"].as_u64(),
            rows_differing: status["diff"]["rows_differing"].as_u64(),
            pause_ms: said["switch"]["pause_ms"].as_f64(),
            commands: step.commands().map(str::to_owned).collect(),
        }
    }

    /// The step in one line, and sign-ups in another where they are what it is about.
    pub fn line(&self) -> String {
        let mut line = format!(
            "     {} requests, {} failed; p50/p99 {} ms",
            self.requests,
            self.failed,
            self.latency_ms.text()
        );
        if let Some(rows) = self.rows_moved.filter(|rows| *rows > 0) {
            let _ = write!(line, "; {rows} rows moved");
        }
        if let Some(rows) = self.rows_differing {
            let _ = write!(line, "; {rows} rows differ");
        }
        if let Some(pause) = self.pause_ms {
            let _ = write!(line, "; write pause {pause:.0} ms");
        }
        let sign_ups = &self.sign_up_ms;
        if sign_ups.during.p50 > 150.0 || sign_ups.before.p50 > 150.0 {
            let _ = write!(line, "\n     a sign-up took {} ms", sign_ups.text());
        }
        line
    }

    fn row(&self, chapter: u32) -> [String; 9] {
        let number = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        [
            format!("{chapter}: {}", self.name),
            self.requests.to_string(),
            self.failed.to_string(),
            self.latency_ms.before.text(),
            self.latency_ms.during.text(),
            self.latency_ms.after.text(),
            number(self.rows_moved.filter(|rows| *rows > 0)),
            number(self.rows_differing),
            self.pause_ms.map(|pause| format!("{pause:.1}")).unwrap_or_default(),
        ]
    }
}

impl Around {
    fn text(&self) -> String {
        let parts = [&self.before, &self.during, &self.after].map(Percentiles::text);
        format!("before {}, during {}, after {}", parts[0], parts[1], parts[2])
    }
}

impl Percentiles {
    fn text(&self) -> String {
        format!("{:.0}/{:.0}", self.p50, self.p99)
    }
}

impl From<Latency> for Percentiles {
    fn from(latency: Latency) -> Self {
        Self { p50: latency.p50, p99: latency.p99 }
    }
}

impl TourReport {
    /// One row a step.
    pub fn table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header([
            "step",
            "requests",
            "failed",
            "before\np50/p99 ms",
            "during\np50/p99 ms",
            "after\np50/p99 ms",
            "rows\nmoved",
            "rows\ndiffering",
            "write pause\nms",
        ]);
        for chapter in &self.chapters {
            for step in &chapter.steps {
                table.add_row(step.row(chapter.n));
            }
        }
        table.to_string()
    }

    /// The ledger's verdict in words.
    pub fn verdict(&self) -> String {
        let v = &self.verdict;
        format!(
            "Of {} writes acknowledged, {} refused and {} unknown ({} converged): {} lost, {} doubled, {} out \
             of order, {} stale. Of {} requests {} failed.",
            v.acknowledged,
            v.refused,
            v.unknown,
            v.unknown_converged,
            v.lost,
            v.doubled,
            v.out_of_order,
            v.stale,
            self.requests.sent,
            self.requests.failed,
        )
    }

    /// Whether the tour has held what it promises.
    pub fn clean(&self) -> bool {
        self.verdict.clean() && self.requests.failed == 0
    }
}

fn around(before: &Summary, during: &Summary, after: &Summary) -> Around {
    Around {
        before: before.latency.into(),
        during: during.latency.into(),
        after: after.latency.into(),
    }
}
