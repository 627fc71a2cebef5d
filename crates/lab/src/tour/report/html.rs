//! The report for a browser: one file that loads nothing from anywhere.

use anyhow::{Context as _, Result};
use askama::Template;
use ficus_load::page;

use super::TourReport;
use super::step::StepReport;

#[derive(Template)]
#[template(path = "report.html")]
struct Page<'a> {
    report: &'a TourReport,
    /// The whole report; its script's text ends at the first `<` that is not escaped.
    json: String,
    style: &'static str,
    script: &'static str,
    uplot_style: &'static str,
    uplot_script: &'static str,
    uplot_licence: &'static str,
}

/// A step with the numbers that the charts and the table share.
struct Row<'a> {
    number: usize,
    chapter: u32,
    step: &'a StepReport,
}

impl TourReport {
    /// The page.
    pub fn html(&self) -> Result<String> {
        let page = Page {
            report: self,
            json: serde_json::to_string(self)?.replace('<', "\\u003c"),
            style: page::STYLE,
            script: include_str!("../../../templates/report.js"),
            uplot_style: page::UPLOT_STYLE,
            uplot_script: page::UPLOT_SCRIPT,
            uplot_licence: page::UPLOT_LICENCE,
        };
        page.render().context("failed to render the report")
    }
}

impl Page<'_> {
    /// All steps, numbered from 1.
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let chapters = self.report.chapters.iter();
        let steps =
            chapters.flat_map(|chapter| chapter.steps.iter().map(move |step| (chapter.n, step)));
        steps.zip(1..).map(|((chapter, step), number)| Row { number, chapter, step })
    }

    fn rows_moved(&self) -> String {
        grouped(self.rows().filter_map(|row| row.step.rows_moved).max().unwrap_or_default())
    }

    fn acknowledged(&self) -> String {
        let verdict = self.report.verdict.as_ref();
        verdict.map(|verdict| grouped(verdict.acknowledged as u64)).unwrap_or_default()
    }
}

impl Row<'_> {
    fn rows_moved(&self) -> String {
        self.step.rows_moved.filter(|rows| *rows > 0).map(grouped).unwrap_or_default()
    }

    fn rows_differing(&self) -> String {
        self.step.rows_differing.map(grouped).unwrap_or_default()
    }
}

/// With a space between thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// Milliseconds to a tenth; empty if they are not known.
fn tenths(milliseconds: Option<f64>) -> String {
    milliseconds.map(|value| format!("{value:.1}")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
