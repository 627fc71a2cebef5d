//! Whether a test notices that a mechanism is gone.

use std::process::Command;

/// Runs a test of this binary by itself with a mechanism taken out (`ficus_process::fault`): it must fail, and what
/// it prints must have one of `words`.
pub fn noticed(fault: &str, test: &str, words: &[&str]) {
    let binary = std::env::current_exe().expect("a process knows its own path");
    let output = Command::new(binary)
        .args(["--exact", test, "--nocapture"])
        .env("FICUS_FAULTS", fault)
        .output()
        .expect("a test binary runs");
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    let said = said.concat();
    assert!(said.contains("running 1 test"), "there is no test {test}");
    assert!(!output.status.success(), "{test} does not notice {fault}:\n{said}");
    assert!(
        words.iter().any(|word| said.contains(word)),
        "{test} failed for another reason:\n{said}"
    );
}
