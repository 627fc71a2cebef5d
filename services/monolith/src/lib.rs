//! Trellis as its first team built it: one process, one database, sessions in memory.
//!
//! A request: [`http`] (who calls, what is asked) → `modules/<capability>/api` (wire ↔ domain) → `domain`
//! (pure) → `store` (SQL). A write begins and ends in [`modules::idempotency`]. Modules call each other
//! through one trait each: [`modules::notifications::Notify`], [`modules::auth::Directory`]. An inside
//! port answers by gRPC what a service asks of auth. [`app`] is the wiring on one screen.

pub mod app;
pub mod config;
mod error;
pub mod http;
pub mod modules;
