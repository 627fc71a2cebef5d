//! Named places where a test makes a process die, stop or wait.
//!
//! `FICUS_FAILPOINTS="controller.C3=kill;relay.sent=stop;relay.read=wait:300"` has the process send itself SIGKILL or
//! SIGSTOP when it comes by for the first time, or wait so many milliseconds each time. Compiled in under
//! `debug_assertions` only: a release program has none.

/// A place that a test can name.
#[cfg(not(debug_assertions))]
pub async fn reach(_name: &str) {}

/// A place that a test can name.
#[cfg(debug_assertions)]
pub async fn reach(name: &str) {
    match planted(name) {
        Some(Action::Signal(signal)) => send(name, signal).await,
        Some(Action::Wait(time)) => tokio::time::sleep(time).await,
        None => {}
    }
}

#[cfg(debug_assertions)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    /// Acts once, so that a stopped process that is resumed goes on.
    Signal(&'static str),
    Wait(std::time::Duration),
}

#[cfg(debug_assertions)]
async fn send(name: &str, signal: &str) {
    tracing::warn!(failpoint = name, signal, "failpoint reached");
    let pid = std::process::id().to_string();
    let sent = tokio::process::Command::new("kill").args(["-s", signal, &pid]).status().await;
    if let Err(error) = sent {
        tracing::error!(%error, "failed to signal this process");
    }
    // The signal takes hold a moment after it was sent; nothing may be done until then.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
}

#[cfg(debug_assertions)]
fn planted(name: &str) -> Option<Action> {
    use std::{
        collections::HashMap,
        sync::{LazyLock, Mutex},
    };

    static PLANTED: LazyLock<Mutex<HashMap<String, Action>>> = LazyLock::new(|| {
        let text = std::env::var("FICUS_FAILPOINTS").unwrap_or_default();
        Mutex::new(text.split(';').filter_map(parse).collect())
    });
    let mut planted = PLANTED.lock().ok()?;
    match planted.get(name) {
        Some(Action::Signal(_)) => planted.remove(name),
        action => action.copied(),
    }
}

#[cfg(debug_assertions)]
fn parse(entry: &str) -> Option<(String, Action)> {
    let (name, action) = entry.trim().split_once('=')?;
    let action = match action.split_once(':') {
        None if action == "kill" => Action::Signal("KILL"),
        None if action == "stop" => Action::Signal("STOP"),
        Some(("wait", time)) => Action::Wait(std::time::Duration::from_millis(time.parse().ok()?)),
        _ => return None,
    };
    Some((name.to_owned(), action))
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use std::time::Duration;

    use super::{Action, parse};

    #[test]
    fn an_entry_is_a_name_and_an_action() {
        let entry = |name: &str, action| Some((name.to_owned(), action));
        assert_eq!(parse(" controller.C3=kill "), entry("controller.C3", Action::Signal("KILL")));
        assert_eq!(parse("relay.sent=stop"), entry("relay.sent", Action::Signal("STOP")));
        let wait = Action::Wait(Duration::from_millis(300));
        assert_eq!(parse("relay.read=wait:300"), entry("relay.read", wait));
        assert_eq!(parse("relay.sent=sleep"), None);
        assert_eq!(parse("relay.sent=wait:long"), None);
        assert_eq!(parse(""), None);
    }
}
