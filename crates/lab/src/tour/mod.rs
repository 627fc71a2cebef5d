//! The migration walked step by step, under load, with a verdict at its end.
//!
//! [`run`] is the whole of it; [`pages`] reads from `docs/tour` what is done and why; [`guide`] does it and measures
//! around it; [`scenario`] is what the users do meanwhile.

mod guide;
mod held;
mod pages;
mod people;
mod report;
mod run;
pub mod scenario;
mod screen;
mod settle;
mod shell;

pub use run::{Arguments, run};
