//! The controller: takes moves in hand, follows, and changes owners, step by step.
//!
//! Several run; the one that holds the lease ([`leader`]) keeps every unfinished move in a task of its own
//! ([`hand`]). A verb goes `api → leader → hand`, and from there to `crates/mover` (both databases of a
//! move) and [`store`] (the control database, each change with its line in the journal). [`switch`] has the
//! steps C0 to C9 and what a takeover does; [`domain`] says which facts fit together and what they are
//! called.
//!
//! Every step, there and here, matches the attempt that makes it. A controller that was stopped and wakes
//! late changes nothing.

pub mod api;
pub mod app;
pub mod config;
pub mod domain;
mod error;
mod hand;
mod leader;
mod metrics;
mod peers;
mod store;
mod switch;

pub use error::Error;
