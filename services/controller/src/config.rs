//! Flags and environment.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

/// Steps moves forward and back.
#[derive(Debug, Parser)]
#[command(name = "controller", version, args_conflicts_with_subcommands = true)]
pub struct Config {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub serve: Serve,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve ficus.control.v1 (the default).
    Serve(Serve),
    /// Bring the control database up to date, as one job before the controllers start.
    Migrate(Migrate),
}

#[derive(Debug, Clone, Args)]
pub struct Serve {
    /// What the engine is told about its subject.
    #[arg(long, env = "FICUS_CONFIG", default_value = "ficus.toml")]
    pub config: PathBuf,
    /// Where to serve gRPC.
    #[arg(long, env = "CONTROLLER_LISTEN", default_value = "127.0.0.1:8241")]
    pub listen: SocketAddr,
    /// Where the others and the command line reach this controller; http:// and --listen by default.
    #[arg(long, env = "CONTROLLER_ADDRESS")]
    pub address: Option<String>,
    /// The name in the journal.
    #[arg(long, env = "CONTROLLER_NAME", default_value = "controller-1")]
    pub name: String,
}

#[derive(Debug, Clone, Args)]
pub struct Migrate {
    /// The control database.
    #[arg(long, env = "CONTROL_DATABASE_URL", hide_env_values = true)]
    pub database: String,
}
