//! Domain events from one database to another, in order for each key, each applied once.
//!
//! A writer calls [`append`] in its business transaction. The [`Relay`] of that database follows the
//! outbox by snapshot cursor and publishes to Kafka. A [`Consumer`] hands batches to a [`Handler`],
//! whose inbox removes repeats; what cannot be applied goes to the topic's dead letters, read and put
//! back by [`dead_letters`]. Start reading at `relay/page.rs`, where the order is decided.

#![cfg_attr(doctest, doc = include_str!("../README.md"))]

mod consumer;
pub mod dead_letters;
mod kafka;
mod message;
mod outbox;
mod relay;

pub use consumer::{ApplyError, Consumer, ConsumerConfig, Handler};
pub use kafka::Kafka;
pub use message::Event;
pub use outbox::{NewEvent, append};
pub use relay::{Lag, Relay, Waker, lag};

/// The outbox and the relays' rows, in schema `ficus`.
pub static MIGRATOR: sqlx::migrate::Migrator = sqlx::migrate!();
