//! A row of `move` as it comes, and the facts that it holds.

use chrono::{DateTime, Utc};
use ficus_mover::{Direction, Side};

use super::Result;
use crate::{
    Error,
    domain::{Diff, Facts, UnknownWord},
};

pub(super) struct Row {
    pub capability: String,
    pub owner: String,
    pub epoch: i64,
    pub attempt: i64,
    pub step: Option<String>,
    pub switching_to: Option<String>,
    pub prepared: bool,
    pub stream: String,
    pub direction: Option<String>,
    pub stream_error: String,
    pub diff_at: Option<DateTime<Utc>>,
    pub diff_clean: Option<bool>,
    pub diff_rows: Option<i64>,
    pub diff_differing: Option<i64>,
    pub switched_at: Option<DateTime<Utc>>,
    pub retired: bool,
    pub unfinished: bool,
}

impl Row {
    pub(super) fn facts(self) -> Result<Facts> {
        let switch = match (&self.step, &self.switching_to) {
            (Some(step), Some(to)) => Some((step.parse()?, side(to)?)),
            _ => None,
        };
        let diff = self.diff_at.map(|at| Diff {
            at,
            clean: self.diff_clean.unwrap_or_default(),
            rows: self.diff_rows.unwrap_or_default().cast_unsigned(),
            differing: self.diff_differing.unwrap_or_default().cast_unsigned(),
        });
        Ok(Facts {
            owner: side(&self.owner)?,
            stream: self.stream.parse()?,
            direction: self.direction.as_deref().map(direction).transpose()?,
            capability: self.capability,
            epoch: self.epoch,
            attempt: self.attempt,
            switch,
            prepared: self.prepared,
            stream_error: self.stream_error,
            diff,
            switched_at: self.switched_at,
            retired: self.retired,
            unfinished: self.unfinished,
        })
    }
}

fn side(word: &str) -> Result<Side> {
    match word {
        "monolith" => Ok(Side::Monolith),
        "service" => Ok(Side::Service),
        other => Err(Error::UnknownWord(UnknownWord(other.to_owned()))),
    }
}

fn direction(word: &str) -> Result<Direction> {
    match word {
        "forward" => Ok(Direction::Forward),
        "reverse" => Ok(Direction::Reverse),
        other => Err(Error::UnknownWord(UnknownWord(other.to_owned()))),
    }
}
