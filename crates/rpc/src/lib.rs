//! A call on the wire, the same for every service: one closed set of errors and what they are in gRPC and in
//! HTTP, the JSON of the contracts, the signed identity that travels inside, and the layers that observe it.
//!
//! A handler answers `Result<T, Error>`; at the door the error becomes a [`tonic::Status`] or a problem
//! document, and a status from a service becomes the same [`Error`] again.

mod drained;
mod error;
pub mod identity;
mod incoming;
pub mod json;
pub mod observe;
pub mod problem;
mod status;

pub use drained::Drained;
pub use error::{Error, Kind};
pub use incoming::incoming;

/// Header and metadata by which an owner says that it refused a write and did nothing else:
/// `<capability> <epoch>`.
pub const FENCED: &str = "ficus-fenced";
/// Header and metadata by which a caller names a write, so that repeating it does nothing more.
pub const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Header and metadata that mark an answer as the stored one of an earlier request.
pub const IDEMPOTENT_REPLAYED: &str = "idempotent-replayed";
