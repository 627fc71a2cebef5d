//! Trellis on one machine: servers, processes, a company's history, the tour, and the judge of the truth
//! ledger.
//!
//! A command begins in [`cli`], which names the module that does it. [`servers`] finds PostgreSQL and Kafka;
//! [`scratch`] runs them for one command, [`stack`] for all of Trellis; [`seed`] fills the database.
//! [`tour`] walks the migration under load and [`kill`] kills processes meanwhile, both while the virtual users
//! of [`scenario`] work; [`judge`] compares what came of it with the ledger. [`faults`] takes one mechanism out at
//! a time, to see that the judge notices. [`bench`] measures, beside opponents.

mod bench;
mod broker;
pub mod cli;
pub mod faults;
mod head;
mod interrupted;
pub mod judge;
pub mod kill;
mod moves;
pub mod print;
mod request;
pub mod scenario;
pub mod scratch;
mod screen;
pub mod seed;
pub mod servers;
mod shell;
pub mod stack;
pub mod tour;
mod trial;
