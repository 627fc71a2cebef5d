//! The command `lab`.

use std::process::ExitCode;

use clap::Parser as _;
use trellis_lab::{cli::Cli, print};

#[tokio::main]
async fn main() -> ExitCode {
    match Cli::parse().run().await {
        Ok(code) => code,
        Err(error) if print::reader_left(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::FAILURE
        }
    }
}
