//! The gateway: the one address that customers know.

use std::process::ExitCode;

use ficus_gateway::{app, config::Config};

fn main() -> ExitCode {
    ficus_process::run::<Config, _, _>("gateway", app::serve)
}
