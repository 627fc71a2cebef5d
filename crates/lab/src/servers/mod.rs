//! The real servers that Trellis needs: where they are found, how they are set up and started.

pub mod kafka;
pub mod launch;
pub mod ports;
pub mod postgres;

pub use kafka::Kafka;
pub use launch::Launch;
pub use postgres::Postgres;
