//! What is told of a step.

use std::time::Duration;

use ficus_load::{Latency, Summary};
use serde::Serialize;
use serde_json::Value;

use crate::tour::pages::Step;

#[derive(Debug, Serialize)]
pub struct ChapterReport {
    pub n: u32,
    pub title: &'static str,
    pub steps: Vec<StepReport>,
}

#[derive(Debug, Default, Serialize)]
pub struct StepReport {
    pub name: String,
    pub why: String,
    /// Seconds since the load began: when the step began, and between when it was measured as *during*.
    pub at_seconds: f64,
    pub during_seconds: [f64; 2],
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
#[derive(Debug, Default, Serialize)]
pub struct Around {
    pub before: Percentiles,
    pub during: Percentiles,
    pub after: Percentiles,
}

#[derive(Debug, Default, Serialize)]
pub struct Percentiles {
    pub p50: f64,
    pub p99: f64,
}

/// When a step began, and when what is measured as *during* began and ended, since the load began.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub arrived: Duration,
    pub begun: Duration,
    pub ended: Duration,
}

/// What was counted around a step.
pub struct Windows {
    pub span: Span,
    pub before: Summary,
    pub during: Summary,
    pub after: Summary,
    pub whole: Summary,
    pub sign_ups: [Summary; 3],
    /// Milliseconds, during the step.
    pub slowest_of_notifications: f64,
}

impl StepReport {
    pub fn new(step: &Step, windows: &Windows, status: &Value, said: &Value) -> Self {
        let [before, during, after] = &windows.sign_ups;
        let span = windows.span;
        Self {
            name: step.name.clone(),
            why: step.why.clone(),
            at_seconds: span.arrived.as_secs_f64(),
            during_seconds: [span.begun.as_secs_f64(), span.ended.as_secs_f64()],
            requests: windows.whole.sent,
            failed: windows.whole.failed,
            latency_ms: around(&windows.before, &windows.during, &windows.after),
            sign_up_ms: around(before, during, after),
            rows_moved: status["rows_copied"].as_u64(),
            rows_differing: status["diff"]["rows_differing"].as_u64(),
            pause_ms: said["switch"]["pause_ms"].as_f64(),
            commands: step.blocks.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<Latency> for Percentiles {
    fn from(latency: Latency) -> Self {
        Self { p50: latency.p50, p99: latency.p99 }
    }
}

fn around(before: &Summary, during: &Summary, after: &Summary) -> Around {
    Around {
        before: before.latency.into(),
        during: during.latency.into(),
        after: after.latency.into(),
    }
}
