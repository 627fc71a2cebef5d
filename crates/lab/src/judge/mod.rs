//! The judge of the truth ledger: what clients were told, against what the system kept.
//!
//! [`facts`] reads the databases, [`mails`] the mail server's file, [`topics`] the broker; [`verdict`]
//! compares, [`settle`] when nothing is under way any more. It asks no service.

pub mod facts;
pub mod mails;
pub mod settle;
pub mod topics;
pub mod verdict;

pub use facts::Facts;
pub use mails::Taken;
pub use verdict::{Verdict, judge};
