//! Flags and environment.

use std::{net::SocketAddr, path::PathBuf};

use clap::Parser;

/// The gateway: sends every request to whoever owns its capability.
#[derive(Debug, Clone, Parser)]
#[command(version)]
pub struct Config {
    /// What the engine is told of the system that it moves.
    #[arg(long, env = "FICUS_CONFIG", default_value = "ficus.toml")]
    pub config: PathBuf,

    /// Address to listen on.
    #[arg(long, default_value = "127.0.0.1:8200")]
    pub listen: SocketAddr,

    /// Name in the control database; of two that have the same one goes on under another.
    #[arg(long, default_value = "gateway-1")]
    pub name: String,

    #[command(flatten)]
    pub limits: Limits,
}

/// What one gateway takes.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Limits {
    /// Bytes of one body.
    #[arg(long, default_value_t = 10 << 20)]
    pub body_limit: usize,

    /// Seconds until a request without an answer is given up.
    #[arg(long, default_value_t = 30)]
    pub time_limit: u64,

    /// Seconds for the head of a request, and for its body while fewer than 1024 bytes a second come.
    #[arg(long, default_value_t = 10)]
    pub sender_time: u64,

    /// Seconds for a connection that nobody uses, and in which nothing moves of an answer.
    #[arg(long, default_value_t = 60)]
    pub idle_time: u64,

    /// Requests at once; more are refused. An eighth may be such whose body, of more than 16 KiB, is on its way still.
    #[arg(long, default_value_t = 4_096)]
    pub in_flight: usize,
}
