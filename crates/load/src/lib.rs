//! Open-loop load: requests leave when they are due, whether or not earlier ones were answered.
//!
//! A [`Scenario`] says what the next request is and is told what became of it. [`Load`] sends requests at a
//! fixed rate through a [`Client`] and counts in a [`Report`] how long each took from the moment it was due,
//! so that a stalled server is not flattered. Writes go into a [`Ledger`], which a judge compares
//! afterwards with what the system kept.

mod client;
mod ledger;
pub mod page;
mod report;
mod request;
mod run;
mod scenario;
mod tester;

pub use client::Client;
pub use ledger::{Ledger, Record};
pub use report::{Latency, Report, Summary};
pub use request::{Class, Reply, Request};
pub use run::{Load, Options};
pub use scenario::{Planned, Scenario};
pub use tester::{
    Arrivals, Body, Call, CallReport, Check, Comparison, DialError, Dialer, Failed, Figure, Judged,
    Kind, Measured, Milliseconds, Offer, Plan, Protocol, Schedule, Second, Series, Server, Shape,
    Share, Slo, Spacing, Stream, Tally, Target, Tester, TesterReport, Unmet, Void, Wanted,
    messages,
};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
