//! Named places where a test makes a process die or stop.
//!
//! `FICUS_FAILPOINTS="controller.C3=kill;relay.sent=stop"` has the process send itself SIGKILL or SIGSTOP
//! when it comes by. Compiled in under `debug_assertions` only: a release program has none.

/// A place that a test can name.
#[cfg(not(debug_assertions))]
pub async fn reach(_name: &str) {}

/// A place that a test can name.
#[cfg(debug_assertions)]
pub async fn reach(name: &str) {
    if let Some(signal) = planted(name) {
        tracing::warn!(failpoint = name, signal, "failpoint reached");
        let pid = std::process::id().to_string();
        let sent = tokio::process::Command::new("kill").args(["-s", signal, &pid]).status().await;
        if let Err(error) = sent {
            tracing::error!(%error, "failed to signal this process");
        }
        // The signal takes hold a moment after it was sent; nothing may be done until then.
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

#[cfg(debug_assertions)]
fn planted(name: &str) -> Option<&'static str> {
    use std::{
        collections::HashMap,
        sync::{LazyLock, Mutex},
    };

    /// Each acts once, so that a stopped process that is resumed goes on.
    static PLANTED: LazyLock<Mutex<HashMap<String, &'static str>>> = LazyLock::new(|| {
        let text = std::env::var("FICUS_FAILPOINTS").unwrap_or_default();
        Mutex::new(text.split(';').filter_map(parse).collect())
    });
    PLANTED.lock().ok()?.remove(name)
}

#[cfg(debug_assertions)]
fn parse(entry: &str) -> Option<(String, &'static str)> {
    let (name, action) = entry.trim().split_once('=')?;
    let signal = match action {
        "kill" => "KILL",
        "stop" => "STOP",
        _ => return None,
    };
    Some((name.to_owned(), signal))
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::parse;

    #[test]
    fn an_entry_is_a_name_and_an_action() {
        assert_eq!(parse(" controller.C3=kill "), Some(("controller.C3".to_owned(), "KILL")));
        assert_eq!(parse("relay.sent=stop"), Some(("relay.sent".to_owned(), "STOP")));
        assert_eq!(parse("relay.sent=sleep"), None);
        assert_eq!(parse(""), None);
    }
}
