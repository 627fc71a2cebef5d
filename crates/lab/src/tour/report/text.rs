//! Lines and tables for a terminal.

use std::fmt::Write as _;

use comfy_table::{Table, presets};

use super::step::{Around, Percentiles};
use super::{Pauses, StepReport, TourReport};

impl StepReport {
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
        if self.commands.iter().any(|block| block.contains("/smtp/delay")) {
            let _ = write!(line, "\n     a sign-up took {} ms", self.sign_up_ms.text());
        }
        line
    }

    fn row(&self, chapter: u32) -> [String; 9] {
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
    /// Half and 99 of 100 requests were faster, in milliseconds.
    pub fn text(&self) -> String {
        format!("{:.0}/{:.0}", self.p50, self.p99)
    }
}

impl Pauses {
    /// One line.
    pub fn text(&self) -> String {
        let too_long = if self.too_long() { " That is longer than it may take." } else { "" };
        format!(
            "Write pause over {} switches: p50 {:.1}, p99 {:.1}, max {:.1} ms; slowest request {:.0} ms, to \
             notifications {:.0} ms.{too_long}",
            self.switches,
            self.p50,
            self.p99,
            self.max,
            self.slowest_ms,
            self.slowest_notifications_ms
        )
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

    /// One row a process.
    pub fn memory_table(&self) -> String {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_header(["at rest", "memory MB"]);
        for process in &self.memory {
            table.add_row([process.name.clone(), process.text()]);
        }
        table.to_string()
    }

    /// The ledger's verdict in words, or where the tour broke.
    pub fn verdict_text(&self) -> String {
        if let Some(broke) = &self.broke {
            return format!("The tour broke at step \"{}\": {}", broke.step, broke.why);
        }
        let Some(v) = &self.verdict else { return "There is no verdict.".to_owned() };
        let short = if self.clean() { "All as promised" } else { "Not as promised" };
        format!(
            "{short}. Of {} writes acknowledged, {} refused and {} unknown ({} converged): {} lost, {} doubled, {} out \
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
}

fn number(value: Option<u64>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
