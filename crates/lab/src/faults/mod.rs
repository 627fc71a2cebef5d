//! Takes out one mechanism at a time, under load and under the schedule that its loss shows by, and has the judge
//! find it: a judge that has never found anything proves nothing.
//!
//! [`plot`] is the table of mechanisms, [`run`] the command, [`stage`] what goes on behind a run, [`late`] writes
//! whose commits come late.

mod late;
mod plot;
mod run;
mod stage;

pub use run::{Arguments, run};
