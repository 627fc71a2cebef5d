//! Trellis on one machine: servers, processes, a company's history, the tour, and the judge of the truth
//! ledger.
//!
//! A command begins in [`cli`], which names the module that does it. [`servers`] finds PostgreSQL and Kafka;
//! [`scratch`] runs them for one command, [`stack`] for all of Trellis; [`seed`] fills the database.
//! [`tour`] walks the migration under load, and [`judge`] compares what came of it with the ledger.

pub mod cli;
pub mod judge;
pub mod print;
mod request;
pub mod scratch;
pub mod seed;
pub mod servers;
pub mod stack;
pub mod tour;
