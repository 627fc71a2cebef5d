//! Trellis's notifications as a service: the in-app inbox, preferences, mails by template and their
//! delivery log, on tables of its own.
//!
//! A request: [`api`] (gRPC, wire ↔ domain) → [`domain`] (pure) → [`store`] (SQL). What other
//! capabilities tell comes in through [`events`], which queue mails; [`mailer`] sends them, asking
//! [`peers`] for the address and the mail server. [`app`] is the wiring on one screen. `move/` says how
//! these tables and the monolith's become each other.

pub mod api;
pub mod app;
pub mod config;
pub mod domain;
pub mod error;
pub mod events;
pub mod mailer;
pub mod peers;
pub mod store;
