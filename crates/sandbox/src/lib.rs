//! The outside world on one machine: an SMTP server whose mails lie in a file, and a trace store.
//!
//! A mail comes in by [`smtp`] and is written by its `mailbox` before it is acknowledged; a span comes in by
//! [`otlp`] and is written by its `store`. [`admin`] is the HTTP through which a test slows the mail server
//! down or counts; beside it `otlp` answers what is asked about traces.

mod admin;
pub mod app;
mod config;
mod otlp;
mod smtp;

pub use config::Config;
