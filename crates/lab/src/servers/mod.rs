//! The real servers that Trellis needs: where they are found, how they are set up and started; and a connection to one
//! that can fall silent.

pub mod kafka;
pub mod launch;
mod partition;
pub mod ports;
pub mod postgres;

pub use kafka::Kafka;
pub use launch::Launch;
pub use partition::Partition;
pub use postgres::Postgres;
