//! What is remembered of a request until its answer comes.

use ficus_load::Request;
use http::StatusCode;

use super::Effect;

/// One request under way.
#[derive(Debug)]
pub struct Step {
    /// By which session it was sent.
    pub bearer: Option<String>,
    pub route: &'static str,
    /// The status of the answer to it.
    pub expected: StatusCode,
    pub what: What,
}

/// What was asked for.
#[derive(Debug)]
pub enum What {
    Write(Box<Write>),
    /// A write of which nothing was known, once more.
    Repeat(Box<Unsettled>),
    SignIn {
        client: usize,
    },
    /// An inbox; none of `marked`, which were acknowledged as read before, may be unread in it.
    Inbox {
        client: usize,
        marked: Vec<i64>,
    },
    /// A task, at `version` at least.
    Task {
        version: i64,
    },
    /// Comments, with all of `known` among them.
    Comments {
        known: Vec<i64>,
    },
    /// Preferences, at `version` at least.
    Preferences {
        version: i64,
    },
    /// Nothing is expected of the answer but its status.
    Plain,
}

/// A write, as the ledger will keep it.
#[derive(Debug)]
pub struct Write {
    pub kind: &'static str,
    pub marker: String,
    pub effect: Effect,
    pub request: Request,
    /// What must not be written meanwhile.
    pub holds: Holds,
}

/// A write that may or may not have happened.
#[derive(Debug)]
pub struct Unsettled {
    /// Of its record in the ledger.
    pub number: usize,
    pub expected: StatusCode,
    pub write: Write,
}

/// What a write keeps other writes away from.
#[derive(Debug, Clone, Copy)]
pub enum Holds {
    Nothing,
    /// A task, by its number in the world.
    Task(usize),
    /// A client's preferences.
    Preferences(usize),
    /// A client's inbox item.
    Item(usize, i64),
}
