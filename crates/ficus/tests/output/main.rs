//! `ficus` as a process: what it writes where, and its exit status.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod errors;
mod load;
mod scenario;
mod store;
mod trace;
