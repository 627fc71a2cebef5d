//! Turns `main` into a process: configuration from flags and environment, logs, traces, metrics, shutdown; and
//! hands out what only a process may take from outside: the clock, randomness, failpoints and planted faults; and
//! knows which claimed rows it works on.
//!
//! `run` parses the configuration, starts telemetry and the runtime and calls the body with a [`Shutdown`],
//! which SIGTERM or SIGINT request.

mod clock;
pub mod failpoint;
pub mod fault;
mod in_flight;
pub mod metrics;
pub mod random;
mod run;
mod shutdown;
mod telemetry;
pub mod trace;

pub use clock::Clock;
pub use in_flight::{Entry, InFlight};
pub use run::run;
pub use shutdown::Shutdown;
pub use telemetry::trace_only;
