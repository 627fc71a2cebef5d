use std::env;

/// A number from the environment: how much a test does, where a run by hand is to do more than `default`, or the seed
/// that it replays.
///
/// # Panics
///
/// If what is there is no number.
pub fn setting(name: &str, default: u64) -> u64 {
    match env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}
