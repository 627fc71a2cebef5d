//! Blocks of commands as a person would paste them, from the repository root.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Deserializer, Value};
use tokio::process::Command;

use crate::stack::Root;

/// How a block ended.
#[derive(Debug)]
pub enum Outcome {
    /// With the last JSON that it printed, if any.
    Done(Value),
    /// It was refused and changed nothing, and may be asked for again; with what it said.
    Refused(String),
}

/// The exit code by which `ficus` says that it was refused.
const REFUSED: i32 = 2;

/// So long a block may take: longer than a whole table takes to be compared.
const PATIENCE: Duration = Duration::from_mins(10);

/// Runs a block by the shell up to the first command that fails; an error, with what it printed, if one did.
pub async fn run(root: &Root, block: &str) -> Result<Outcome> {
    let mut block_of_commands = Command::new("sh");
    block_of_commands
        .args(["-e", "-c", &for_machines(block)])
        .current_dir(root.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let output = tokio::time::timeout(PATIENCE, block_of_commands.output())
        .await
        .with_context(|| format!("`{block}` did not end within ten minutes"))?
        .context("failed to run sh")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if output.status.success() {
        let values = Deserializer::from_str(&printed).into_iter::<Value>();
        return Ok(Outcome::Done(values.map_while(Result::ok).last().unwrap_or_default()));
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let text = format!("`{block}`: {}\n{}\n{}", output.status, complaint.trim(), printed.trim());
    if output.status.code() == Some(REFUSED) {
        return Ok(Outcome::Refused(text.trim().to_owned()));
    }
    bail!("{}", text.trim())
}

/// The same with `ficus` printing JSON.
fn for_machines(block: &str) -> String {
    let lines = block.lines().map(|line| {
        let machine = line.starts_with(".ficus/bin/ficus ");
        if machine { format!("{line} --json") } else { line.to_owned() }
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::for_machines;

    #[test]
    fn only_the_engine_is_asked_for_json() {
        let block = ".ficus/bin/ficus move a create\nsleep 1\n.ficus/bin/ficus move a start";
        let asked =
            ".ficus/bin/ficus move a create --json\nsleep 1\n.ficus/bin/ficus move a start --json";
        assert_eq!(for_machines(block), asked);
    }
}
