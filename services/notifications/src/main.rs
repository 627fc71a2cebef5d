//! Trellis's notifications, apart from the monolith.

use std::process::ExitCode;

use trellis_notifications::app;
use trellis_notifications::config::{Command, Config};

fn main() -> ExitCode {
    ficus_process::run("notifications", async |config: Config, shutdown| match config.command {
        Some(Command::Migrate) => app::migrate(&config).await,
        Some(Command::Serve) | None => app::serve(&config, shutdown).await,
    })
}
