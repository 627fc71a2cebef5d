//! Why something was not applied, and whose fault that is.

use ficus_process::fault::planted;

use super::{
    ApplyError,
    fault::{self, Fault},
    gate::NotOwner,
};
use crate::{dead_letters, kafka};

/// What stopped the work without being any message's fault. Tried again, it goes on where it was: the
/// inbox knows what was applied.
#[derive(Debug)]
pub enum Interruption {
    Fenced,
    NotOwner,
    Database(sqlx::Error),
    Broker(kafka::Error),
    /// Dead letters that are to be redriven could not be read.
    Letters(dead_letters::Error),
}

impl From<NotOwner> for Interruption {
    fn from(_: NotOwner) -> Self {
        Self::NotOwner
    }
}

impl From<kafka::Error> for Interruption {
    fn from(error: kafka::Error) -> Self {
        Self::Broker(error)
    }
}

impl From<dead_letters::Error> for Interruption {
    fn from(error: dead_letters::Error) -> Self {
        Self::Letters(error)
    }
}

/// From a statement that is about no one event.
impl From<sqlx::Error> for Interruption {
    fn from(error: sqlx::Error) -> Self {
        match fault::of(&error) {
            Fault::Fence => Self::Fenced,
            Fault::Database | Fault::Event => Self::Database(error),
        }
    }
}

/// Why one transaction did not commit.
pub enum Failure {
    Interrupted(Interruption),
    /// One of its events is at fault.
    Event {
        reason: String,
        is_final: bool,
    },
}

impl From<sqlx::Error> for Failure {
    fn from(error: sqlx::Error) -> Self {
        if planted("fence-is-poison") && ficus_pg::fenced(&error).is_some() {
            return Self::Event { reason: error.to_string(), is_final: false };
        }
        Self::Interrupted(error.into())
    }
}

impl From<ApplyError> for Failure {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Rejected(reason) => Self::Event { reason, is_final: true },
            ApplyError::Failed(reason) => Self::Event { reason, is_final: false },
            ApplyError::Database(error) if fault::of(&error) == Fault::Event => {
                Self::Event { reason: error.to_string(), is_final: false }
            }
            ApplyError::Database(error) => Self::Interrupted(error.into()),
        }
    }
}
