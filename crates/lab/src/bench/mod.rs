//! Figures, each beside an opponent or a floor that is measured in the same run.
//!
//! [`run`] is the command: a fresh stack for each benchmark, then its [`figure`]s as a table or as JSON lines.
//! [`rounds`] takes turns between what is compared, so that a machine that slows down slows both; [`processor`]
//! reads what a process took of it.

mod capture;
mod copy;
mod felt;
mod figure;
mod hop;
mod idle;
mod load;
mod nginx;
mod processor;
mod raw;
mod relay;
mod rounds;
mod run;
mod signup;
mod switch;

pub use run::{Arguments, run};
