//! The controller's process.

use std::process::ExitCode;

use ficus_controller::{app, config::Config};

fn main() -> ExitCode {
    ficus_process::run("controller", |config: Config, shutdown| async move {
        app::run(config, shutdown).await
    })
}
