#![doc = include_str!("../README.md")]
//!
//! # Where one request goes
//!
//! [`RouteLayer`] finds method and path in the [`RouteTable`] and notes the [`Match`] in the request;
//! [`HoldLayer`] asks the [`Ownership`] who answers now, notes the [`Choice`], calls the service under it,
//! and holds and repeats a request that an owner refused because its tables are fenced. The service
//! under it, which is not in this crate, sends the request to where the choice says.

mod bindings;
mod body;
mod gate;
mod hold;
mod holding;
mod metrics;
mod ownership;
mod refusal;
mod route;
mod table;

pub use body::{Body, BoxError, Limits, Resumed};
pub use hold::{Choice, FENCED, Hold, HoldLayer};
pub use ownership::{Ownership, Side, View};
pub use refusal::Refusal;
pub use route::{RouteLayer, Routed};
pub use table::{CapabilityRoutes, Match, Payload, Route, RouteTable, Rpc, TableError};
