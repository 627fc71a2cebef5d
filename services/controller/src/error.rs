//! What can go wrong here, and how it is answered.

use ficus_rpc::Error as Answer;

use crate::domain::UnknownWord;

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A failure. A verb that was refused is no failure: see [`crate::domain::Outcome`].
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another attempt has the move in hand, or this controller has lost its lease. Nothing was changed.
    #[error("this attempt no longer has the move in hand")]
    Stale,
    #[error("failed to use the control database: {0}")]
    Control(#[from] sqlx::Error),
    #[error("failed to ask a relay how far it is: {0}")]
    Relay(#[source] sqlx::Error),
    #[error("the control database did not answer in time")]
    ControlSilent,
    #[error("C1 to C5 took longer than 1,000 ms")]
    OverBudget,
    #[error(transparent)]
    UnknownWord(#[from] UnknownWord),
    #[error(transparent)]
    Mover(#[from] ficus_mover::Error),
    #[error(transparent)]
    Subject(#[from] ficus_control_api::subject::SubjectError),
    #[error("failed to keep the move's definition: {0}")]
    Definition(#[from] serde_json::Error),
    #[error("there is no move of {0}; `ficus move {0} create` writes it down")]
    NoMove(String),
}

impl From<&Error> for Answer {
    fn from(error: &Error) -> Self {
        tracing::warn!(%error, "failed to answer");
        let detail = error.to_string();
        match error {
            Error::Stale => Answer::unavailable(
                "lost_in_hand",
                format!("{detail}; ask for the status and try again"),
            ),
            Error::Control(_) | Error::ControlSilent => Answer::unavailable(
                "control_database",
                format!("{detail}; nothing is known to have changed, ask for the status"),
            ),
            Error::NoMove(_) => Answer::not_found("no_move", detail),
            Error::Subject(_) | Error::Definition(_) => Answer::unprocessable("subject", detail),
            Error::Mover(ficus_mover::Error::Definition(_)) => {
                Answer::unprocessable("definition", detail)
            }
            Error::Relay(_) => Answer::unavailable("relay", detail),
            Error::OverBudget => Answer::unavailable("over_budget", detail),
            Error::Mover(_) => Answer::unavailable("mover", detail),
            Error::UnknownWord(_) => Answer::unprocessable("unknown_word", detail),
        }
    }
}

/// Whether a follower's error will be there again however often it tries: the server said what is wrong,
/// and it is neither of the connection, of resources, of a conflict nor of the operator.
pub fn lasting(error: &ficus_mover::Error) -> bool {
    const PASSING: [&str; 6] = ["08", "25", "40", "53", "55", "57"];
    match error {
        ficus_mover::Error::LostCursor { .. } => true,
        ficus_mover::Error::Database { source, .. } => source
            .as_database_error()
            .and_then(sqlx::error::DatabaseError::code)
            .is_some_and(|code| !PASSING.iter().any(|class| code.starts_with(class))),
        _ => false,
    }
}
