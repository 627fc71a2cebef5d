//! Does what a chapter says, and measures around it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use ficus_load::{Client, Load, Report, Summary};
use serde_json::Value;

use super::chapters::{Act, Chapter, Step};
use super::report::{ChapterReport, StepReport, Switch, Windows};
use super::screen::Screen;
use super::shell;
use crate::stack::Root;

/// How much of the load before and after a step it is compared with.
const AROUND: Duration = Duration::from_secs(3);
/// How long a command is given again that is refused.
const INSISTENCE: Duration = Duration::from_secs(20);
const STATUS: &str = ".ficus/bin/ficus move notifications status --json";

/// The one who walks.
pub struct Guide {
    pub root: Root,
    pub load: Load,
    pub client: Client,
    pub screen: Screen,
    /// Waits for Enter before each step.
    pub pause: bool,
    pub chapters: Vec<ChapterReport>,
    pub switches: Vec<Switch>,
}

impl Guide {
    /// Walks one chapter.
    pub async fn chapter(&mut self, chapter: &Chapter) -> Result<()> {
        self.screen.say(&format!("\nChapter {}: {}", chapter.n, chapter.title));
        let title = chapter.title;
        self.chapters.push(ChapterReport { n: chapter.n, title, steps: Vec::new() });
        for step in &chapter.steps {
            let report = self.step(step).await.with_context(|| format!("at \"{}\"", step.name))?;
            self.screen.say(&report.line());
            let chapter = self.chapters.last_mut().expect("a chapter was pushed above");
            chapter.steps.push(report);
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> Result<StepReport> {
        self.screen.say(&format!("\n  {}. {}", step.name, step.why));
        let by_hand = self.pause && self.ask(step).await?;
        let arrived = self.load.elapsed();
        let compared = self.acts(&step.first, by_hand).await?;
        let compared = self.status(&compared).await?;
        let (begun, held) = (self.load.elapsed(), self.held());
        let said = self.acts(&step.acts, by_hand).await?;
        let ended = self.load.elapsed();
        self.watch(AROUND, "watching what follows").await;
        let windows = self.windows(arrived, begun, ended);
        let status = self.status(&said).await?;
        if let Some(direction) = step.switch {
            self.switches.push(Switch::new(direction, &said, &windows.during, self.held() - held));
        }
        let mut report = StepReport::new(step, &windows, &status, &said);
        report.rows_differing =
            report.rows_differing.or(compared["diff"]["rows_differing"].as_u64());
        Ok(report)
    }

    /// Does one after the other; answers what the last command said.
    async fn acts(&mut self, acts: &[Act], by_hand: bool) -> Result<Value> {
        let mut said = Value::Null;
        for act in acts.iter().filter(|act| !by_hand || act.command().is_none()) {
            let output = self.act(act).await?;
            said = if output.is_null() { said } else { output };
        }
        Ok(said)
    }

    /// How many requests the gateway has held so far, by its log.
    fn held(&self) -> usize {
        let log = std::fs::read_to_string(self.root.logs().join("gateway.log")).unwrap_or_default();
        log.matches("answered a held request").count()
    }

    /// Prints the commands and waits; answers whether they were run by hand.
    async fn ask(&self, step: &Step) -> Result<bool> {
        for command in step.commands() {
            self.screen.say(&format!("      {command}"));
        }
        let question = "      Enter: do it; s and Enter: it was done by hand";
        Ok(self.screen.enter(question).await? == "s")
    }

    async fn act(&mut self, act: &Act) -> Result<Value> {
        match act {
            Act::Run(line) => Ok(shell::run(&self.root, line).await?.0),
            Act::Follow(line) => self.follow(line).await,
            Act::Insist(line) => self.insist(line).await,
            Act::Aim(base) => {
                self.client.aim(base);
                Ok(Value::Null)
            }
            Act::Watch(length) => {
                self.watch(*length, "watching").await;
                Ok(Value::Null)
            }
        }
    }

    /// Runs a command and shows how far the move is until it ends.
    async fn follow(&mut self, line: &str) -> Result<Value> {
        let root = self.root.clone();
        let mut command = std::pin::pin!(shell::run(&root, line));
        loop {
            tokio::select! {
                output = &mut command => break Ok(output?.0),
                () = tokio::time::sleep(Duration::from_secs(2)) => {
                    let status = shell::run(&root, STATUS).await.unwrap_or_default();
                    self.screen.progress(&progress(&status.0));
                }
            }
        }
    }

    async fn insist(&mut self, line: &str) -> Result<Value> {
        let begun = Instant::now();
        loop {
            match shell::run(&self.root, line).await {
                Ok(output) => return Ok(output.0),
                Err(error) if begun.elapsed() > INSISTENCE => return Err(error),
                Err(error) => self.screen.progress(&format!("not yet: {error}")),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn watch(&mut self, length: Duration, what: &str) {
        let begun = Instant::now();
        while begun.elapsed() < length {
            let sent =
                self.load.with_report(|report| report.window(self.last_second(), Duration::MAX));
            self.screen.progress(&format!("{what}: {} requests/s", sent.sent));
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        self.screen.clear();
    }

    fn last_second(&self) -> Duration {
        self.load.elapsed().saturating_sub(Duration::from_secs(1))
    }

    fn windows(&self, arrived: Duration, begun: Duration, ended: Duration) -> Windows {
        let second = Duration::from_secs(1);
        let now = self.load.elapsed();
        let before = (begun.saturating_sub(AROUND), begun.saturating_sub(second));
        let after = (ended + second, now.saturating_sub(second));
        self.load.with_report(|report| Windows {
            before: report.window(before.0, before.1),
            during: report.window(begun, ended),
            after: report.window(after.0, after.1),
            whole: report.window(arrived, after.1),
            sign_ups: [before, (begun, ended), after].map(|(from, to)| sign_ups(report, from, to)),
        })
    }

    /// The move as the controller tells it, where the step was one of it.
    async fn status(&self, said: &Value) -> Result<Value> {
        if said.is_null() {
            return Ok(Value::Null);
        }
        let status = shell::run(&self.root, STATUS).await?;
        Ok(status.0)
    }
}

fn sign_ups(report: &Report, from: Duration, to: Duration) -> Summary {
    report.route("POST /v1/sign-up", from, to)
}

fn progress(status: &Value) -> String {
    let rows = |name: &str| status[name].as_u64().unwrap_or_default();
    let left = status["eta_seconds"].as_f64().unwrap_or_default();
    let phase = status["phase"].as_str().unwrap_or("starting");
    format!("{phase}: {} of {} rows, {left:.0} s left", rows("rows_copied"), rows("rows_total"))
}
