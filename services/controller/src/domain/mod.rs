//! A move as facts, what may be done with it, and what a person is told; no I/O.

mod account;
mod facts;
mod outcome;
mod phase;
mod progress;
mod verb;

pub use account::{Entry, RENAMED, unexplained};
pub use facts::{Diff, Facts, Step, Stream, UnknownWord};
pub use outcome::{Outcome, Refusal, Switched};
pub use phase::Phase;
pub use progress::Progress;
pub use verb::{Verb, refusal};
