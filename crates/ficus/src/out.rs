//! The only way to standard output and standard error.
//!
//! `println!` panics when the reader has gone, as in `ficus move list | head -1`. Here what nobody reads is
//! dropped, and the exit status still says what came of the verb.

use std::{
    fmt::Display,
    io::{self, ErrorKind, Write},
};

use anyhow::Context as _;

/// A line for the reader of the result. Fails if it cannot be written for another reason than that nobody
/// reads.
pub fn say(line: impl Display) -> anyhow::Result<()> {
    read_or_not(write(io::stdout().lock(), line)).context("failed to write to standard output")
}

/// JSON for machines, on one line.
pub fn say_json(value: &serde_json::Value) -> anyhow::Result<()> {
    say(value)
}

/// A line for the person who waits. What cannot be told must not keep the verb from being done.
pub fn warn(line: impl Display) {
    let _ = write(io::stderr().lock(), line);
}

fn write(mut to: impl Write, line: impl Display) -> io::Result<()> {
    writeln!(to, "{line}")?;
    to.flush()
}

fn read_or_not(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}
