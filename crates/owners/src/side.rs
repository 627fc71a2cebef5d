//! The words: who can own a capability, who picks an owner, and what is known of one capability.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// Who may write a capability's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The process that the product began as.
    Monolith,
    /// The service that the capability moves to.
    Service,
}

impl Side {
    /// As the control database spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monolith => "monolith",
            Self::Service => "service",
        }
    }

    /// The one across.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::Monolith => Self::Service,
            Self::Service => Self::Monolith,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no side.
#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is neither \"monolith\" nor \"service\"")]
pub struct UnknownSide(String);

impl FromStr for Side {
    type Err = UnknownSide;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "monolith" => Ok(Self::Monolith),
            "service" => Ok(Self::Service),
            other => Err(UnknownSide(other.to_owned())),
        }
    }
}

/// What a picker picks an owner for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Sends the public's requests.
    Gateway,
    /// Begins side effects while its side owns the capability.
    Worker,
    /// Calls the capability from inside.
    Client,
}

impl Role {
    /// As the control database spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::Worker => "worker",
            Self::Client => "client",
        }
    }
}

/// What the process acts on for one capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// Who may write.
    pub owner: Side,
    /// Goes up by one with every change of owner; 0 while there is no move.
    pub epoch: i64,
    /// A switch is pending: writes are buffered and no side effect begins until it is over or its time
    /// has passed. Its end by time does not end the leases that [`crate::Owners::may_read`] asks for.
    pub pending: Option<Uuid>,
    /// Between create and complete or cancel: reads need a fresh word from the control database.
    pub unfinished: bool,
    /// The monolith's tables are gone.
    pub retired: bool,
}

impl View {
    /// Of a capability without a move.
    pub const NO_MOVE: Self =
        Self { owner: Side::Monolith, epoch: 0, pending: None, unfinished: false, retired: false };
}
