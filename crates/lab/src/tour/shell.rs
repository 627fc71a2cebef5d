//! Commands as a person would paste them, from the repository root.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use tokio::process::Command;

use crate::stack::Root;

/// What a command printed, as JSON if it was JSON.
#[derive(Debug, Default)]
pub struct Output(pub Value);

/// Runs one line by the shell; an error, with what it printed, unless it succeeds.
pub async fn run(root: &Root, line: &str) -> Result<Output> {
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(root.path())
        .stdin(Stdio::null())
        .output()
        .await
        .context("failed to run sh")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("`{line}` failed ({}):\n{}\n{}", output.status, complaint.trim(), printed.trim());
    }
    Ok(Output(serde_json::from_str(&printed).unwrap_or_default()))
}
