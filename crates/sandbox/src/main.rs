//! Stand-ins for the outside world, for `lab` and tests.

use std::process::ExitCode;

use trellis_sandbox::{Config, app};

fn main() -> ExitCode {
    ficus_process::run("sandbox", |config: Config, shutdown| app::run(config, shutdown))
}
