//! One closed set of error kinds.

use std::borrow::Cow;

/// What is wrong, and so who is at fault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The request cannot be understood. The caller's fault.
    Invalid,
    /// Nobody, or somebody unknown, is calling.
    Unauthenticated,
    /// The caller may not.
    Forbidden,
    /// There is no such thing, or it is not the caller's.
    NotFound,
    /// It stands against what is there already.
    Conflict,
    /// It is larger than is taken.
    TooLarge,
    /// It is understood, and cannot be done.
    Unprocessable,
    /// This process does not own the capability's data; nothing was done.
    Fenced { capability: String, epoch: i64 },
    /// It cannot be done now; later it can.
    Unavailable,
    /// It took longer than the caller was willing to wait.
    Deadline,
    /// Our fault.
    Internal,
}

/// An error as it is answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Error {
    pub kind: Kind,
    /// Stable, for programs: `email_taken`.
    pub code: Cow<'static, str>,
    /// For people: lower case, no full stop, says what to do.
    pub detail: String,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident;)*) => {$(
        $(#[$doc])*
        pub fn $name(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
            Self { kind: Kind::$kind, code: code.into(), detail: detail.into() }
        }
    )*};
}

impl Error {
    constructors! {
        /// 400.
        invalid => Invalid;
        /// 403.
        forbidden => Forbidden;
        /// 404.
        not_found => NotFound;
        /// 409.
        conflict => Conflict;
        /// 413.
        too_large => TooLarge;
        /// 422.
        unprocessable => Unprocessable;
        /// 503 with `Retry-After`.
        unavailable => Unavailable;
        /// 504.
        deadline => Deadline;
    }

    /// 401, the same for every reason.
    pub fn unauthenticated() -> Self {
        Self {
            kind: Kind::Unauthenticated,
            code: "unauthenticated".into(),
            detail: "sign in and send the token as Authorization: Bearer".to_owned(),
        }
    }

    /// 500. What went wrong belongs into the log, not into the answer.
    pub fn internal() -> Self {
        Self {
            kind: Kind::Internal,
            code: "internal".into(),
            detail: "failed to answer; the failure is logged".to_owned(),
        }
    }

    /// 500 for a write whose commit was not answered, or that has left something behind when it failed: it may have
    /// happened, so it must not be told as refused.
    pub fn outcome_unknown() -> Self {
        Self {
            kind: Kind::Internal,
            code: "outcome_unknown".into(),
            detail: "whether it was done is not known; send it again with the same Idempotency-Key"
                .to_owned(),
        }
    }

    /// 503 with `Ficus-Fenced`; only for a request that has done nothing.
    pub fn fenced(capability: impl Into<String>, epoch: i64) -> Self {
        Self {
            kind: Kind::Fenced { capability: capability.into(), epoch },
            code: "fenced".into(),
            detail: "another process owns this data now; try again".to_owned(),
        }
    }
}
