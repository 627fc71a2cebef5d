//! Spans go in by a real OTLP client and are found again, over HTTP and by `ficus trace`.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod command;
mod sandbox;
mod sink;
