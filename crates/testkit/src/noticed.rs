//! Whether a test notices that a mechanism is gone.

use std::{
    process::ExitStatus,
    thread::sleep,
    time::{Duration, Instant},
};

use crate::Program;

/// Longer than any test that is run so takes.
const PATIENCE: Duration = Duration::from_mins(10);
/// So long a test may take to end after it failed: a Kafka client whose broker is gone for good may never close
/// (<https://github.com/confluentinc/librdkafka/issues/3740>).
const AFTER_A_PANIC: Duration = Duration::from_secs(20);

/// Runs a test of this binary by itself with a mechanism taken out (`ficus_process::fault`): it must fail, and what
/// it prints must have one of `words`.
pub fn noticed(fault: &str, test: &str, words: &[&str]) {
    let binary = std::env::current_exe().expect("a process knows its own path");
    let arguments = ["--exact", test, "--nocapture"];
    let mut program = Program::start(binary, arguments, [("FICUS_FAULTS", fault)]);
    let status = end(&mut program);
    let said = program.log();
    assert!(said.contains("running 1 test"), "there is no test {test}");
    let Some(status) = status else { panic!("{test} with {fault} does not end") };
    assert!(!status.success(), "{test} does not notice {fault}");
    assert!(words.iter().any(|word| said.contains(word)), "{test} failed for another reason");
}

/// Waits for its end, and kills it where it has failed and does not end. `None` if it ran on.
fn end(program: &mut Program) -> Option<ExitStatus> {
    let begun = Instant::now();
    let mut failed_at = None;
    loop {
        if let Some(status) = program.status() {
            return Some(status);
        }
        if failed_at.is_none() && program.log().contains("panicked at") {
            failed_at = Some(Instant::now());
        }
        let is_stuck = failed_at.is_some_and(|at: Instant| at.elapsed() > AFTER_A_PANIC);
        if is_stuck || begun.elapsed() > PATIENCE {
            program.kill();
            return if is_stuck { program.status() } else { None };
        }
        sleep(Duration::from_millis(100));
    }
}
