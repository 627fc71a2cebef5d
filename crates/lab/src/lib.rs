//! Trellis on one machine: servers, processes, a company's history, the tour, and the judge of the truth
//! ledger.
//!
//! A command begins in [`cli`], which names the module that does it. What is started comes from
//! [`servers`] (PostgreSQL, Kafka).

pub mod cli;
pub mod scratch;
pub mod servers;
