//! What the mail server took.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    message_id: String,
    received_at: DateTime<Utc>,
}

/// How often each Message-ID was taken.
pub type Taken = HashMap<String, usize>;

/// Longer than sending a mail and recording it take together.
const SENDING: TimeDelta = TimeDelta::seconds(10);

/// When a process was away that sends, takes or records mails, from its death until it answered again.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// Takes out the repeats that a crash explains, and answers how many there were: what died between the mail
/// server's answer and the record of it cannot know that the mail was sent.
pub fn excuse(file: &Path, taken: &mut Taken, crashes: &[Crash]) -> Result<usize> {
    let mut last: HashMap<String, DateTime<Utc>> = HashMap::new();
    let mut excused = 0;
    for line in lines(file)? {
        let before = last.insert(line.message_id.clone(), line.received_at);
        let explains = |crash: &Crash| {
            let in_time =
                |at| crash.until >= at && crash.from <= line.received_at.min(at + SENDING);
            before.is_some_and(in_time)
        };
        if crashes.iter().any(explains) {
            excused += 1;
            *taken.entry(line.message_id).or_default() -= 1;
        }
    }
    Ok(excused)
}

/// Reads the mail server's file.
pub fn read(file: &Path) -> Result<Taken> {
    let mut taken = Taken::new();
    for line in lines(file)? {
        *taken.entry(line.message_id).or_default() += 1;
    }
    Ok(taken)
}

fn lines(file: &Path) -> Result<Vec<Line>> {
    let text = fs::read_to_string(file)
        .with_context(|| format!("failed to read the mails in {}", file.display()))?;
    // The last line may be half written.
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.map(|line| serde_json::from_str(line).context("failed to read a mail")).collect()
}

/// The Message-ID of a mail, the same on both sides.
pub fn message_id(mail: i64) -> String {
    format!("<mail-{mail}@trellis.local>")
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::{Crash, excuse, read};

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000_000 + second, 0).expect("a time")
    }

    #[test]
    fn a_repeat_is_excused_by_a_crash_in_between_and_by_no_other() {
        let lines: Vec<String> = [("a", 1), ("a", 5), ("a", 9), ("b", 3), ("c", -20), ("c", 3)]
            .map(|(id, second)| {
                let at = at(second).to_rfc3339();
                format!("{{\"message_id\":\"{id}\",\"received_at\":\"{at}\"}}\n")
            })
            .into();
        let file = std::env::temp_dir().join(format!("mails-{}", std::process::id()));
        std::fs::write(&file, lines.concat() + "{\"message").expect("a file");
        let mut taken = read(&file).expect("mails");
        let crash = Crash { from: at(2), until: at(4) };
        assert_eq!(excuse(&file, &mut taken, &[crash]).expect("mails"), 1);
        assert_eq!((taken["a"], taken["b"], taken["c"]), (2, 1, 2), "c was sent long before");
        std::fs::remove_file(file).expect("the file");
    }
}
