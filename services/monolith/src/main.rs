//! Trellis as its first team built it.

use std::process::ExitCode;

use trellis_monolith::app;
use trellis_monolith::config::{Command, Config};

fn main() -> ExitCode {
    ficus_process::run("monolith", async |config: Config, shutdown| match config.command {
        Some(Command::Migrate) => app::migrate(&config).await,
        Some(Command::Serve) | None => app::serve(&config, shutdown).await,
    })
}
