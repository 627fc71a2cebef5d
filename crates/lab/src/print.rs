//! Text for standard output, whose reader may leave early, as `head` does.

use std::fmt::Display;
use std::io::{self, Write as _};

/// Prints a line; an error where `println!` would panic.
pub fn line(text: impl Display) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// Whether a command failed only because nobody reads on.
pub fn reader_left(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use std::io;

    use anyhow::anyhow;

    use super::reader_left;

    #[test]
    fn only_a_broken_pipe_is_quiet() {
        assert!(reader_left(&io::Error::from(io::ErrorKind::BrokenPipe).into()));
        assert!(!reader_left(&io::Error::from(io::ErrorKind::NotFound).into()));
        assert!(!reader_left(&anyhow!("broken pipe")));
    }
}
