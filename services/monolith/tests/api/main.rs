//! Trellis's public API, asked as a customer asks it: the real thing on port 0, a database of its own, and
//! a mail server that keeps what it is given. The folders are those of the API.
#![expect(clippy::unwrap_used, reason = "tests")]

mod auth;
mod core;
mod errors;
mod fence;
mod harness;
mod idempotency;
mod inside;
mod notifications;
mod routes;
