//! Events from a writer to a consumer, on a real database and a real broker.
#![expect(clippy::unwrap_used, reason = "a test says what went wrong by failing")]

mod bench;
mod broker;
mod dead_letters;
mod fence;
mod frozen;
mod order;
mod poison;
mod redrive;
mod relay;
mod replaced;
