//! Stands in front of the monolith and of the services that are cut out of it, and sends every request to
//! whoever owns its capability at that moment. It knows its subject by `ficus.toml` and a descriptor set
//! alone, and keeps nothing.
//!
//! # Where one request goes
//!
//! [`server`] accepts the connection and refuses what two parsers could read in two ways ([`framing`]) or the HTTP library
//! cannot read ([`explained`]);
//! the layers of [`app`] follow in the order in which they stand there; [`upstream`] passes the request on
//! as HTTP, or as gRPC with the JSON made a protobuf message and back.

pub mod api;
pub mod app;
pub mod config;
pub mod error;
pub mod explained;
pub mod framing;
pub mod headers;
pub mod lanes;
pub mod limits;
pub mod openapi;
pub mod owners;
pub mod pace;
pub mod server;
pub mod trace;
pub mod upstream;
