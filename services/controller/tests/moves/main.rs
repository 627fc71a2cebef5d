//! Moves of a foreign subject, by controllers that live, die and are stopped.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

mod abort;
mod autovacuum;
mod cancel;
mod control_row;
mod flush;
mod lanes;
mod open_writer;
mod preflight;
mod prepare;
mod shop;
mod slow_to_connect;
mod stopped;
mod switch;
mod takeover;
mod walks;
