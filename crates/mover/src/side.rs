//! The two sides of a move and the two ways between them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Monolith,
    Service,
}

/// Which way rows flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the monolith to the service.
    Forward,
    /// From the service to the monolith.
    Reverse,
}

impl Side {
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Monolith => Self::Service,
            Self::Service => Self::Monolith,
        }
    }

    /// The way rows flow while this side owns the capability.
    pub fn outward(self) -> Direction {
        match self {
            Self::Monolith => Direction::Forward,
            Self::Service => Direction::Reverse,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Monolith => "monolith",
            Self::Service => "service",
        }
    }
}

impl Direction {
    pub fn source(self) -> Side {
        match self {
            Self::Forward => Side::Monolith,
            Self::Reverse => Side::Service,
        }
    }

    pub fn target(self) -> Side {
        self.source().other()
    }

    #[must_use]
    pub fn opposite(self) -> Self {
        self.target().outward()
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
