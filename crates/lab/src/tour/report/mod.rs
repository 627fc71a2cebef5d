//! What the tour leaves: `report.json` and `report.html` in `.ficus/tour`, and lines and tables for a person.
//!
//! The types here and in [`step`], [`switch`] and [`series`] are the JSON: fields may be added, never taken
//! away or renamed. [`text`] and [`html`] show them.

mod html;
mod series;
mod step;
mod switch;
mod text;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Serialize;

pub use self::series::Moment;
pub use self::step::{ChapterReport, Span, StepReport, Windows};
pub use self::switch::{Pauses, Switch, nearest_rank};
use crate::head::Head;
use crate::judge::Verdict;
use crate::stack::memory::Memory;

pub const JSON: &str = "report.json";
pub const HTML: &str = "report.html";

/// The whole.
#[derive(Debug, Default, Serialize)]
pub struct TourReport {
    #[serde(flatten)]
    pub head: Head,
    /// Since the command began.
    pub seconds: f64,
    /// From the command's beginning to the first request of the load.
    pub first_request_seconds: Option<f64>,
    /// Requests a second that were asked for.
    pub rate: f64,
    /// Writes that were acknowledged, a second of the load.
    pub writes_per_second: Option<f64>,
    /// Why the tour did not reach its end; absent if it did.
    pub broke: Option<Broke>,
    /// Absent if the tour broke before it.
    pub verdict: Option<Verdict>,
    pub requests: Requests,
    pub chapters: Vec<ChapterReport>,
    pub switches: Vec<Switch>,
    pub pauses: Option<Pauses>,
    /// At rest, after the load.
    pub memory: Vec<Memory>,
    /// Each second of the load.
    pub series: Vec<Moment>,
    /// The first requests that failed, in words.
    pub failures: Vec<String>,
}

/// Where a tour broke.
#[derive(Debug, Serialize)]
pub struct Broke {
    pub step: String,
    pub why: String,
}

#[derive(Debug, Default, Serialize)]
pub struct Requests {
    pub sent: u64,
    pub ok: u64,
    pub failed: u64,
}

impl TourReport {
    /// Whether the tour has held what it promises.
    pub fn clean(&self) -> bool {
        let verdict = self.verdict.as_ref().is_some_and(Verdict::clean);
        let too_long = self.pauses.as_ref().is_some_and(Pauses::too_long);
        verdict && self.broke.is_none() && self.requests.failed == 0 && !too_long
    }

    /// Writes both files into the folder; answers the JSON.
    pub fn write(&self, folder: &Path) -> Result<String> {
        let json = serde_json::to_string_pretty(self)?;
        for (name, text) in [(JSON, &json), (HTML, &self.html()?)] {
            let file = folder.join(name);
            fs::write(&file, text)
                .with_context(|| format!("failed to write {}", file.display()))?;
        }
        Ok(json)
    }

    /// Takes away what an earlier tour left, so that it is not mistaken for this one's.
    pub fn remove(folder: &Path) -> Result<()> {
        for file in [JSON, HTML].map(|name| folder.join(name)) {
            if file.exists() {
                fs::remove_file(file)?;
            }
        }
        Ok(())
    }
}
