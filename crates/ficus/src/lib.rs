//! `ficus`: the engine's command line, for any subject. It knows `ficus.toml` and the controllers that
//! stand there.
//!
//! `main` → [`cli`] (flags and help) → [`run`] → [`moves`] (verbs, by [`controllers`]), [`dlq`], [`traces`] or
//! `load`.
//! What people read goes to standard output as tables, what machines read with `--json`; what passes, as
//! progress, goes to standard error; both by [`out`] alone. [`exit`] says what the exit status means.
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod cause;
pub mod cli;
pub mod controllers;
pub mod dlq;
pub mod exit;
mod fetch;
mod load;
pub mod moves;
pub mod out;
pub mod run;
pub mod table;
pub mod traces;
