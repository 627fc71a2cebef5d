//! How many requests the gateway has held during switches, by its own metrics.

use crate::request;
use crate::stack::programs;

/// A histogram of holds; each label's count is a line of its own, absent until there is one.
const HOLDS: &str = "ficus_hold_duration_seconds_count{";

/// All that it has held so far; `None` if it does not tell.
pub async fn so_far() -> Option<u64> {
    let port = programs::named("gateway").ok()?.metrics()?;
    let (status, body) =
        request::get(&format!("http://127.0.0.1:{port}"), "/metrics").await.ok()?;
    (status == 200).then(|| count(&String::from_utf8_lossy(&body)))
}

fn count(metrics: &str) -> u64 {
    let holds = metrics.lines().filter(|line| line.starts_with(HOLDS));
    holds.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn holds_are_counted_whatever_came_of_them() {
        let metrics = r#"# TYPE ficus_hold_duration_seconds histogram
ficus_held_requests{capability="notifications"} 3
ficus_hold_duration_seconds_sum{capability="notifications",outcome="answered"} 0.75
ficus_hold_duration_seconds_count{capability="notifications",outcome="answered"} 6
ficus_hold_duration_seconds_count{capability="notifications",outcome="given_up"} 1"#;
        assert_eq!(count(metrics), 7);
        assert_eq!(count(""), 0);
    }
}
