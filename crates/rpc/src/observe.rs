//! A call seen from both ends: a span of the trace that goes along with it, and how long it took.
//!
//! Names follow OpenTelemetry's semantic conventions for HTTP and RPC
//! (<https://opentelemetry.io/docs/specs/semconv/>).

mod call;
mod called;
mod served;

pub use call::route;
pub use called::{Called, CalledLayer};
pub use served::{Served, ServedLayer};
