//! The journal for people: what one controller did in one attempt stands together.

use ficus_control_api::control::v1::JournalEntry;

use crate::table::wrap;

/// Indent, time of day, step, and the gaps between.
const LEFT: usize = 2 + 12 + 2 + 8 + 2;

/// Entries in their order, at most `width` columns wide.
pub(super) fn journal(entries: &[JournalEntry], width: usize) -> String {
    let mut lines = vec!["journal, times in UTC".to_owned()];
    let mut last = String::new();
    for entry in entries {
        let at = entry.at.as_ref().map(ToString::to_string).unwrap_or_default();
        let (day, time) = at.split_once('T').unwrap_or_default();
        let heading =
            format!("{day}  epoch {}, attempt {}, by {}", entry.epoch, entry.attempt, entry.by);
        if heading != last {
            lines.push(heading.clone());
            last = heading;
        }
        lines.extend(told(entry, time.trim_end_matches('Z'), width));
    }
    lines.join("\n")
}

fn told(entry: &JournalEntry, time: &str, width: usize) -> Vec<String> {
    // Timestamps are printed with as many decimals as they need.
    let time = if time.len() == 8 { format!("{time}.000") } else { time.to_owned() };
    let time: String = time.chars().take(12).collect();
    let mut text = wrap(&entry.text, width - LEFT).into_iter();
    let first = text.next().unwrap_or_default();
    let mut lines = vec![format!("  {time:12}  {:8}  {first}", entry.step)];
    lines.extend(text.map(|line| format!("{:LEFT$}{line}", "")));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(at: &str, attempt: i64, step: &str, text: &str) -> JournalEntry {
        JournalEntry {
            id: 1,
            at: Some(at.parse().expect("a time")),
            attempt,
            epoch: 4,
            step: step.to_owned(),
            text: text.to_owned(),
            by: "controller-1".to_owned(),
        }
    }

    #[test]
    fn what_belongs_to_one_attempt_stands_together() {
        let entries = [
            entry("2026-11-23T07:41:37.5Z", 2, "prepare", "capture and fences are installed"),
            entry("2026-11-23T07:41:38Z", 2, "vdiff", "clean"),
            entry(
                "2026-11-23T07:42:00.123456Z",
                3,
                "C6",
                "the service owns it from here on, and all that is left to do is to let its writes in",
            ),
        ];
        let wanted = "\
journal, times in UTC
2026-11-23  epoch 4, attempt 2, by controller-1
  07:41:37.500  prepare   capture and fences are installed
  07:41:38.000  vdiff     clean
2026-11-23  epoch 4, attempt 3, by controller-1
  07:42:00.123  C6        the service owns it from here on, and all that is left
                          to do is to let its writes in";
        let drawn = journal(&entries, 80);
        assert!(drawn == wanted, "drawn:\n{drawn}\nwanted:\n{wanted}");
    }
}
