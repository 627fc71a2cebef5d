//! The independent facts that a row of `move` holds.

use std::str::FromStr;

use chrono::{DateTime, Utc};
use ficus_mover::{Direction, Side};

/// A row of `move`, less its definition.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub capability: String,
    pub owner: Side,
    pub epoch: i64,
    pub attempt: i64,
    /// Where the switch under way is, and whom it makes the owner.
    pub switch: Option<(Step, Side)>,
    pub prepared: bool,
    pub stream: Stream,
    /// Set unless the stream is [`Stream::None`].
    pub direction: Option<Direction>,
    pub stream_error: String,
    pub diff: Option<Diff>,
    pub switched_at: Option<DateTime<Utc>>,
    pub retired: bool,
    pub unfinished: bool,
}

impl Facts {
    /// Whether the service has ever owned it.
    pub const fn has_switched(&self) -> bool {
        self.epoch > 1
    }

    /// The owner's step C6 was the point of no return: from it on a switch is rolled forward.
    pub fn rolls_forward(&self) -> bool {
        self.switch.is_some_and(|(_, to)| to == self.owner)
    }
}

/// The last comparison of both sides that was whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Diff {
    pub at: DateTime<Utc>,
    pub clean: bool,
    pub rows: u64,
    pub differing: u64,
}

/// What the stream of changes does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    None,
    Copying,
    Following,
    Stopped,
    NeedsRebase,
    Error,
    Irreversible,
}

impl Stream {
    /// Every one.
    pub const ALL: [Self; 7] = [
        Self::None,
        Self::Copying,
        Self::Following,
        Self::Stopped,
        Self::NeedsRebase,
        Self::Error,
        Self::Irreversible,
    ];

    /// Whether a follower works on it.
    pub const fn flows(self) -> bool {
        matches!(self, Self::Copying | Self::Following)
    }

    /// As the control database spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Copying => "copying",
            Self::Following => "following",
            Self::Stopped => "stopped",
            Self::NeedsRebase => "needs_rebase",
            Self::Error => "error",
            Self::Irreversible => "irreversible",
        }
    }
}

/// The steps of a switch that the control database names. C2 to C5 happen within C1: nothing that is
/// stored differs between them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    C0,
    C1,
    C6,
    C7,
    C8,
}

impl Step {
    /// Every one, in order.
    pub const ALL: [Self; 5] = [Self::C0, Self::C1, Self::C6, Self::C7, Self::C8];

    /// As the control database spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::C0 => "C0",
            Self::C1 => "C1",
            Self::C6 => "C6",
            Self::C7 => "C7",
            Self::C8 => "C8",
        }
    }

    /// Whether the owner has changed by then.
    pub const fn after_the_point_of_no_return(self) -> bool {
        matches!(self, Self::C6 | Self::C7 | Self::C8)
    }
}

/// A word in the control database that this program does not know.
#[derive(Debug, thiserror::Error)]
#[error("the control database says \"{0}\", which this controller does not know")]
pub struct UnknownWord(pub String);

impl FromStr for Stream {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let known = Self::ALL.into_iter().find(|stream| stream.as_str() == word);
        known.ok_or_else(|| UnknownWord(word.to_owned()))
    }
}

impl FromStr for Step {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        let known = Self::ALL.into_iter().find(|step| step.as_str() == word);
        known.ok_or_else(|| UnknownWord(word.to_owned()))
    }
}
