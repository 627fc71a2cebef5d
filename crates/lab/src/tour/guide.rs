//! Does what a page says, and measures around it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use chrono::{DateTime, Utc};
use ficus_load::{Client, Load, Report, Summary};
use serde_json::Value;

use super::held;
use super::pages::{Chapter, Step};
use super::report::{ChapterReport, Span, StepReport, Switch, Windows};
use crate::scenario;
use crate::screen::Screen;
use crate::shell::{self, Outcome};
use crate::stack::Root;

/// How much of the load before and after a step it is compared with.
const AROUND: Duration = Duration::from_secs(4);
/// How long a command is given again that is refused.
const INSISTENCE: Duration = Duration::from_mins(1);
const STATUS: &str = ".ficus/bin/ficus move notifications status";

pub const MONOLITH: &str = "http://127.0.0.1:8201";
pub const GATEWAY: &str = "http://127.0.0.1:8200";

/// The one who walks.
pub struct Guide {
    pub root: Root,
    pub load: Load,
    pub load_began: DateTime<Utc>,
    pub client: Client,
    pub screen: Screen,
    /// Waits for Enter before each step.
    pub pause: bool,
    /// The step that is being done.
    pub at: String,
    pub chapters: Vec<ChapterReport>,
    pub switches: Vec<Switch>,
}

impl Guide {
    /// Walks all chapters.
    pub async fn walk(&mut self, chapters: &[Chapter]) -> Result<()> {
        for chapter in chapters {
            self.screen.say(&format!("\nChapter {}: {}", chapter.n, chapter.title));
            let report = ChapterReport { n: chapter.n, title: chapter.title, steps: Vec::new() };
            self.chapters.push(report);
            for step in &chapter.steps {
                self.at.clone_from(&step.name);
                let report = self.step(step).await?;
                self.screen.say(&report.line());
                let chapter = self.chapters.last_mut().expect("a chapter was pushed above");
                chapter.steps.push(report);
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<StepReport> {
        self.screen.say(&format!("\n  {}. {}", step.name, step.why));
        let by_hand = self.pause && self.ask(step).await?;
        let (first, last) = step.parts();
        let arrived = self.load.elapsed();
        for block in first.iter().filter(|_| !by_hand) {
            self.perform(block).await?;
        }
        let compared = self.status(step).await;
        let (held, begun) = (held::so_far().await, self.load.elapsed());
        let said = if by_hand { Value::Null } else { self.perform(last).await? };
        let ended = self.load.elapsed();
        if step.opens_gateway() {
            self.client.aim(GATEWAY);
        }
        self.watch(AROUND).await;
        let windows = self.windows(Span { arrived, begun, ended });
        let status = self.status(step).await;
        if let Some(direction) = step.direction() {
            let held = held::so_far().await.zip(held).map(|(after, before)| after - before);
            let switch = Switch::new(direction, &said, &windows, held);
            self.switches.push(switch.since(self.load_began));
        }
        let mut report = StepReport::new(step, &windows, &status, &said);
        report.rows_differing =
            report.rows_differing.or(compared["diff"]["rows_differing"].as_u64());
        Ok(report)
    }

    /// Prints the commands and waits; answers whether they were run by hand.
    async fn ask(&self, step: &Step) -> Result<bool> {
        for line in step.blocks.iter().flat_map(|block| block.lines()) {
            // From the first column, so that it can be pasted whole.
            self.screen.say(line);
        }
        let question = "      Enter: do it; s and Enter: it was done by hand";
        Ok(self.screen.enter(question).await? == "s")
    }

    /// Runs a block; one that is refused, as a switch while the load peaks, is run again for a while.
    async fn perform(&mut self, block: &str) -> Result<Value> {
        let begun = Instant::now();
        loop {
            match self.follow(block).await? {
                Outcome::Done(said) => return Ok(said),
                Outcome::Refused(why) if begun.elapsed() > INSISTENCE => bail!("{why}"),
                Outcome::Refused(why) => self.screen.progress(&format!("not yet: {why}")),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Runs a block and shows what happens meanwhile.
    async fn follow(&mut self, block: &str) -> Result<Outcome> {
        let root = self.root.clone();
        let mut command = std::pin::pin!(shell::run(&root, block));
        loop {
            tokio::select! {
                outcome = &mut command => {
                    self.screen.clear();
                    break outcome;
                }
                () = tokio::time::sleep(Duration::from_secs(1)) => {}
            }
            if block.contains(" vdiff") {
                let status = status(&root).await;
                self.screen.progress(&progress(&status));
            } else {
                self.show_rate();
            }
        }
    }

    async fn watch(&mut self, length: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < length {
            self.show_rate();
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        self.screen.clear();
    }

    fn show_rate(&mut self) {
        let second = self.load.elapsed().saturating_sub(Duration::from_secs(1));
        let last = self.load.with_report(|report| report.window(second, second));
        let text = format!("{} requests/s, p50 {:.0} ms", last.sent, last.latency.p50);
        self.screen.progress(&text);
    }

    fn windows(&self, span: Span) -> Windows {
        let second = Duration::from_secs(1);
        let now = self.load.elapsed();
        let before = (span.begun.saturating_sub(AROUND), span.begun.saturating_sub(second));
        let during = (span.begun, span.ended);
        let after = (span.ended + second, now.saturating_sub(second));
        self.load.with_report(|report| Windows {
            span,
            before: report.window(before.0, before.1),
            during: report.window(during.0, during.1),
            after: report.window(after.0, after.1),
            whole: report.window(span.arrived, after.1),
            sign_ups: [before, during, after].map(|(from, to)| sign_ups(report, from, to)),
            slowest_of_notifications: report.slowest(
                during.0,
                during.1,
                scenario::of_notifications,
            ),
        })
    }

    /// The move as the controller tells it, where the step is one of it.
    async fn status(&self, step: &Step) -> Value {
        if step.moves() { status(&self.root).await } else { Value::Null }
    }
}

/// Nothing is known while no move is written down or nobody leads.
async fn status(root: &Root) -> Value {
    match shell::run(root, STATUS).await {
        Ok(Outcome::Done(status)) => status,
        _ => Value::Null,
    }
}

fn sign_ups(report: &Report, from: Duration, to: Duration) -> Summary {
    report.route(scenario::SIGN_UP, from, to)
}

fn progress(status: &Value) -> String {
    let rows = |name: &str| status[name].as_u64().unwrap_or_default();
    let left = match status["eta_seconds"].as_f64() {
        Some(left) if left > 0.0 => format!(", {left:.0} s left"),
        _ => String::new(),
    };
    match status["phase"].as_str().unwrap_or("starting") {
        "copying" => {
            let (copied, total) = (rows("rows_copied"), rows("rows_total"));
            format!("copying: {copied} of about {} rows{left}", total.max(copied))
        }
        phase => format!("{phase}{left}"),
    }
}
