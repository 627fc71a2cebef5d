//! The engine's command line.

use std::process::ExitCode;

use clap::Parser;
use ficus_cli::{cli::Cli, exit, out, run};

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { exit::ERROR } else { ExitCode::SUCCESS };
        }
    };
    match tokio::runtime::Runtime::new().map(|runtime| runtime.block_on(run::run(cli))) {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            out::warn(format_args!("ficus: {error:#}"));
            exit::ERROR
        }
        Err(error) => {
            out::warn(format_args!("ficus: failed to start: {error}"));
            exit::ERROR
        }
    }
}
