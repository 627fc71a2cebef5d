//! What the exit status says.

use std::process::ExitCode;

/// Something failed; standard error says what, and what to do.
pub const ERROR: ExitCode = ExitCode::FAILURE;

/// 0 when it was done; 2 when it was refused or aborted, and nothing is worse than before.
pub fn of(done: bool) -> ExitCode {
    if done { ExitCode::SUCCESS } else { ExitCode::from(2) }
}
