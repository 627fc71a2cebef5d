//! What notifications are, apart from any wire or table.

mod kind;
mod letter;
mod news;
mod preferences;

pub use kind::Kind;
pub use letter::{Claim, Letter, Obstacle, backoff};
pub use news::{News, Notice};
pub use preferences::{Preferences, Setting};

/// How mail leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailMode {
    /// The request that causes a mail sends it before it answers.
    Inline,
    /// The request publishes what happened; the mail is sent later.
    Queued,
}

impl MailMode {
    /// Its name in the database and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Queued => "queued",
        }
    }

    /// The mode of this name.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Inline, Self::Queued].into_iter().find(|mode| mode.name() == name)
    }
}
