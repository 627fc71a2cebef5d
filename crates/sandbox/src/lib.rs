//! The outside world on one machine: an SMTP server whose mails lie in a file.
//!
//! A mail comes in by [`smtp`] and is written by its `mailbox` before it is acknowledged; [`admin`] is
//! the HTTP through which a test slows the server down or counts.

mod admin;
pub mod app;
mod config;
mod smtp;

pub use config::Config;
