//! Trellis on one machine: servers, processes, a company's history, the tour, and the judge of the truth
//! ledger.
//!
//! A command begins in [`cli`], which names the module that does it. [`servers`] finds PostgreSQL and Kafka;
//! [`scratch`] runs them for one command, [`stack`] for all of Trellis; [`seed`] fills the database.

pub mod cli;
mod request;
pub mod scratch;
pub mod seed;
pub mod servers;
pub mod stack;
