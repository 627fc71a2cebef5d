//! The W3C `traceparent` of what is being worked on, carried from a request to its rows and messages.

tokio::task_local! {
    static CURRENT: Option<String>;
}

/// Runs a future with this `traceparent`; a malformed one is dropped.
pub async fn scope<F: Future>(traceparent: Option<String>, future: F) -> F::Output {
    CURRENT.scope(traceparent.filter(|text| is_traceparent(text)), future).await
}

/// The `traceparent` of the work that this runs in.
pub fn current_traceparent() -> Option<String> {
    CURRENT.try_with(Clone::clone).ok().flatten()
}

/// Whether the text is a `traceparent` of version 00 (<https://www.w3.org/TR/trace-context/>).
pub fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags] = parts.as_slice() else { return false };
    let hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let some = |part: &str| part.bytes().any(|b| b != b'0');
    *version == "00"
        && hex(trace, 32)
        && some(trace)
        && hex(span, 16)
        && some(span)
        && hex(flags, 2)
}

/// A new `traceparent`, sampled.
pub fn new_traceparent() -> String {
    let trace = u128::from_be_bytes(crate::random::bytes::<16>());
    let span = u64::from_be_bytes(crate::random::bytes::<8>());
    format!("00-{:032x}-{:016x}-01", trace.max(1), span.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_one_is_well_formed() {
        assert!(is_traceparent(&new_traceparent()));
    }

    #[test]
    fn malformed_ones_are_told() {
        for text in [
            "",
            "00-0-0-0",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
        ] {
            assert!(!is_traceparent(text), "{text}");
        }
    }

    #[tokio::test]
    async fn work_sees_the_traceparent_it_runs_in() {
        let traceparent = new_traceparent();
        let seen = scope(Some(traceparent.clone()), async { current_traceparent() }).await;
        assert_eq!(seen, Some(traceparent));
        assert_eq!(current_traceparent(), None);
    }
}
