//! Who owns what: the one place that reads `move` in the control database for a process that picks an
//! owner (gateways, clients of services, workers).
//!
//! [`Owners::start`] registers the picker in the transaction in which it first reads, listens for
//! changes, and from then on says in every round trip what the process **already acts on** ([`session`]).
//! What it heard is published to the process first ([`state`]) and acknowledged with the next round trip,
//! so an acknowledgement never runs ahead of the requests it speaks for.
//!
//! A request asks [`Owners::begin`] (a write that is not buffered), [`Owners::may_read`] (the lease of a
//! switch) or [`Owners::may_work`] (a side effect); a [`Guard`] is held while it is under way.

mod guard;
mod owners;
mod round;
mod session;
mod side;
mod state;

pub use guard::Guard;
pub use owners::{Error, Owners};
pub use side::{Role, Side, View};
