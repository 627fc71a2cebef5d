//! What the gateway answers itself.

pub mod health;
pub mod jwks;
pub mod openapi;
