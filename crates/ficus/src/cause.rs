//! Why something failed, in a few words.

use std::error::Error;

/// What went wrong at the bottom, as "Connection refused": the layers above say only that it did.
pub fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::root;

    #[test]
    fn the_bottom_of_a_chain_is_found() {
        let bottom = io::Error::other("connection refused");
        let top = io::Error::other(io::Error::other(bottom));
        assert_eq!(root(&top).to_string(), "connection refused");
    }
}
