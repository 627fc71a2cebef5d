//! Trellis's capabilities. Each has `api` (wire ↔ domain), `domain` (pure) and `store` (SQL), and one
//! trait by which the others call it. Reads may join each other's tables; writes never cross.

pub mod auth;
pub mod core;
pub mod idempotency;
pub mod notifications;
