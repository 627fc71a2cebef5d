//! Kills what runs, at random and under load, while notifications move there and back, and has the judge look
//! at what is left.
//!
//! [`run`] is the whole of it; [`blow`] draws from the seed who is struck and how, [`strike`] does it and waits
//! until all is normal again; [`backlog`] watches work that nobody waits for, [`report`] tells what was seen.

mod backlog;
mod blow;
mod report;
mod run;
mod strike;

pub use run::{Arguments, run};
