//! Mechanisms that a test takes out of a process, to see that their loss is noticed.
//!
//! `FICUS_FAULTS="inbox-off;quiesce-off"` names what the process does without. Compiled in under
//! `debug_assertions` only: a release program has all of its mechanisms.

/// Whether the process is to do without a mechanism.
pub fn planted(name: &str) -> bool {
    value(name).is_some()
}

/// What was said after the name and `=`; empty if nothing was, `None` if the mechanism is to work.
#[cfg(not(debug_assertions))]
pub const fn value(_name: &str) -> Option<&'static str> {
    None
}

/// What was said after the name and `=`; empty if nothing was, `None` if the mechanism is to work.
#[cfg(debug_assertions)]
pub fn value(name: &str) -> Option<&'static str> {
    use std::{collections::HashMap, sync::LazyLock};

    static PLANTED: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
        let text = std::env::var("FICUS_FAULTS").unwrap_or_default();
        text.split(';').filter_map(parse).collect()
    });
    PLANTED.get(name).map(String::as_str)
}

#[cfg(debug_assertions)]
fn parse(entry: &str) -> Option<(String, String)> {
    let (name, value) = entry.trim().split_once('=').unwrap_or((entry.trim(), ""));
    (!name.is_empty()).then(|| (name.to_owned(), value.to_owned()))
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::parse;

    #[test]
    fn an_entry_is_a_name_and_may_have_a_value() {
        let entry = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        assert_eq!(parse(" inbox-off "), entry("inbox-off", ""));
        assert_eq!(
            parse("outbox-apart=postgres://h/d?a=b"),
            entry("outbox-apart", "postgres://h/d?a=b")
        );
        assert_eq!(parse(""), None);
    }
}
