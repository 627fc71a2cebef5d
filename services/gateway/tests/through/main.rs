//! Requests through a real gateway, to a small monolith over HTTP and a small service over gRPC.
#![expect(clippy::unwrap_used, reason = "tests")]

mod control;
mod ends;
mod holds;
mod limits;
mod monolith;
mod openapi;
mod passes;
mod recorder;
mod refuses;
mod service;
mod slow;
mod smuggling;
mod stand;
