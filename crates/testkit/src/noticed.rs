//! Whether a test notices that a mechanism is gone.

use std::{
    fs::File,
    process::{Child, Command, ExitStatus, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use crate::unique;

/// Longer than any test that is run so takes.
const PATIENCE: Duration = Duration::from_mins(10);
/// So long a test may take to end after it failed: a Kafka client whose broker is gone for good may never close
/// (<https://github.com/confluentinc/librdkafka/issues/3740>).
const AFTER_A_PANIC: Duration = Duration::from_secs(20);

/// Runs a test of this binary by itself with a mechanism taken out (`ficus_process::fault`): it must fail, and what
/// it prints must have one of `words`.
pub fn noticed(fault: &str, test: &str, words: &[&str]) {
    let binary = std::env::current_exe().expect("a process knows its own path");
    let log = std::env::temp_dir().join(unique("noticed"));
    let output = File::create(&log).expect("failed to create the test's log");
    let mut child = Command::new(binary)
        .args(["--exact", test, "--nocapture"])
        .env("FICUS_FAULTS", fault)
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("failed to share the test's log"))
        .stderr(output)
        .spawn()
        .expect("a test binary runs");
    let said = || std::fs::read(&log).map(|said| String::from_utf8_lossy(&said).into_owned());
    let has_failed = || said().is_ok_and(|said| said.contains("panicked at"));
    let status = end(&mut child, has_failed);
    let said = said().expect("failed to read the test's log");
    let _ = std::fs::remove_file(&log);
    assert!(said.contains("running 1 test"), "there is no test {test}");
    let Some(status) = status else { panic!("{test} with {fault} does not end:\n{said}") };
    assert!(!status.success(), "{test} does not notice {fault}:\n{said}");
    assert!(
        words.iter().any(|word| said.contains(word)),
        "{test} failed for another reason:\n{said}"
    );
}

/// Waits for its end, and kills it where it has failed and does not end. `None` if it ran on.
fn end(child: &mut Child, has_failed: impl Fn() -> bool) -> Option<ExitStatus> {
    let begun = Instant::now();
    let mut failed_at = None;
    loop {
        if let Some(status) = child.try_wait().expect("failed to wait for a test") {
            return Some(status);
        }
        if failed_at.is_none() && has_failed() {
            failed_at = Some(Instant::now());
        }
        let is_stuck = failed_at.is_some_and(|at: Instant| at.elapsed() > AFTER_A_PANIC);
        if is_stuck || begun.elapsed() > PATIENCE {
            let _ = child.kill();
            let status = child.wait().expect("failed to wait for a test");
            return is_stuck.then_some(status);
        }
        sleep(Duration::from_millis(100));
    }
}
