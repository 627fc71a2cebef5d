//! The migration walked step by step, under load, with a verdict at its end.
//!
//! [`run`] is the whole of it; [`pages`] reads from `docs/tour` what is done and why; [`guide`] does it and measures
//! around it.

mod guide;
mod held;
pub mod pages;
mod report;
mod run;

pub(crate) use report::nearest_rank;
pub(crate) use run::rate;
pub use run::{Arguments, run};
