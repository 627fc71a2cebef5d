//! What a person sees while the tour walks.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};

use crate::print;

/// Plain lines without a terminal.
const LINE_EVERY: Duration = Duration::from_secs(5);

/// Text on standard output, or on standard error where that belongs to JSON.
pub struct Screen {
    json: bool,
    spinner: ProgressBar,
    plain: bool,
    last_line: Instant,
}

impl Screen {
    /// `json`: standard output is for a machine.
    pub fn new(json: bool) -> Self {
        let spinner = ProgressBar::new_spinner();
        let style = ProgressStyle::with_template("  {spinner} {msg} {elapsed}");
        spinner.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        let plain = !std::io::stderr().is_terminal();
        Self { json, spinner, plain, last_line: Instant::now() }
    }

    /// Prints a line; the tour goes on where nobody reads it.
    pub fn say(&self, text: &str) {
        let _ = self.spinner.suspend(|| {
            if self.json { writeln!(io::stderr(), "{text}") } else { print::line(text) }
        });
    }

    /// Shows what is under way.
    pub fn progress(&mut self, text: &str) {
        if !self.plain {
            self.spinner.set_message(text.to_owned());
            self.spinner.tick();
        } else if self.last_line.elapsed() >= LINE_EVERY {
            self.last_line = Instant::now();
            let _ = writeln!(io::stderr(), "  … {text}");
        }
    }

    /// Nothing is under way any more.
    pub fn clear(&self) {
        self.spinner.set_message("");
        self.spinner.reset();
        self.spinner.finish_and_clear();
    }

    /// Waits for Enter; answers what was typed before it.
    pub async fn enter(&self, question: &str) -> Result<String> {
        self.say(question);
        let (tell, told) = tokio::sync::oneshot::channel();
        // The runtime does not end before its own threads do, and this one ends with a line only.
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line).map(|_| line.trim().to_owned());
            // Nobody waits for it any more after Ctrl-C.
            let _ = tell.send(read);
        });
        told.await?.context("failed to read standard input")
    }
}
