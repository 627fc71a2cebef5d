//! What the mail server took.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    message_id: String,
}

/// How often each Message-ID was taken.
pub type Taken = HashMap<String, usize>;

/// Reads the mail server's file.
pub fn read(file: &Path) -> Result<Taken> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("failed to read the mails in {}", file.display()))?;
    let mut taken = Taken::new();
    // The last line may be half written.
    for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
        let line: Line = serde_json::from_str(line).context("failed to read a mail")?;
        *taken.entry(line.message_id).or_default() += 1;
    }
    Ok(taken)
}

/// The Message-ID of a mail, the same on both sides.
pub fn message_id(mail: i64) -> String {
    format!("<mail-{mail}@trellis.local>")
}
