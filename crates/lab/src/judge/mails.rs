//! What the mail server took.

use std::collections::{HashMap, HashSet};
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

/// Longer than recording takes what the mail server has said; the next blow falls when no mail is further behind.
const RECORDING: TimeDelta = TimeDelta::seconds(3);
/// What may be on its way when something dies: monolith and service have 16 places each.
const IN_FLIGHT: usize = 32;

/// When a process was away that sends, takes or records mails, from its death until it answered again.
#[derive(Debug, Clone, Copy)]
pub struct Crash {
    pub from: DateTime<Utc>,
    pub until: DateTime<Utc>,
}

/// Takes out the repeats that a crash explains, and answers how many there were: what died between the mail
/// server's answer and the record of it cannot know that the mail was sent. One crash explains one repeat of a
/// mail, and no more mails than were on their way.
pub fn excuse(file: &Path, taken: &mut Taken, crashes: &[Crash]) -> Result<usize> {
    let mut last: HashMap<String, DateTime<Utc>> = HashMap::new();
    let mut explained: Vec<HashSet<String>> = vec![HashSet::new(); crashes.len()];
    for line in lines(file)? {
        let before = last.insert(line.message_id.clone(), line.received_at);
        let Some(before) = before else { continue };
        let latest = line.received_at.min(before + RECORDING);
        let between = |crash: &Crash| crash.until >= before && crash.from <= latest;
        let explains = crashes.iter().zip(&mut explained).any(|(crash, mails)| {
            between(crash) && mails.len() < IN_FLIGHT && mails.insert(line.message_id.clone())
        });
        if explains {
            *taken.entry(line.message_id).or_default() -= 1;
        }
    }
    Ok(explained.iter().map(HashSet::len).sum())
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

    use super::{Crash, IN_FLIGHT, Taken, excuse, read};

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_000_000_000 + second, 0).expect("a time")
    }

    /// What is left of the mails that were taken in these seconds, and how many repeats a crash from 2 to 4 explains.
    fn excused(mails: &[(&str, i64)]) -> (Taken, usize) {
        let line = |(id, second): &(&str, i64)| {
            let at = at(*second).to_rfc3339();
            format!("{{\"message_id\":\"{id}\",\"received_at\":\"{at}\"}}\n")
        };
        let lines: String = mails.iter().map(line).collect();
        let file = std::env::temp_dir().join(ficus_process::random::token());
        std::fs::write(&file, lines + "{\"message").expect("a file");
        let mut taken = read(&file).expect("mails");
        let crash = Crash { from: at(2), until: at(4) };
        let excused = excuse(&file, &mut taken, &[crash]).expect("mails");
        std::fs::remove_file(file).expect("the file");
        (taken, excused)
    }

    #[test]
    fn a_repeat_is_excused_by_a_crash_in_between_and_by_no_other() {
        let (taken, excused) =
            excused(&[("a", 1), ("a", 5), ("a", 9), ("b", 3), ("c", -2), ("c", 3)]);
        assert_eq!(excused, 1);
        assert_eq!((taken["a"], taken["b"], taken["c"]), (2, 1, 2), "c was recorded long before");
    }

    #[test]
    fn a_crash_excuses_one_repeat_of_a_mail() {
        assert_eq!(
            excused(&[("a", 1), ("a", 3), ("a", 3)]),
            (Taken::from([("a".to_owned(), 2)]), 1)
        );
    }

    #[test]
    fn a_crash_excuses_no_more_mails_than_were_on_their_way() {
        let ids: Vec<String> = (0..IN_FLIGHT + 8).map(|n| n.to_string()).collect();
        let twice: Vec<_> =
            ids.iter().flat_map(|id| [(id.as_str(), 1), (id.as_str(), 5)]).collect();
        let (taken, excused) = excused(&twice);
        assert_eq!(excused, IN_FLIGHT);
        assert_eq!(taken.values().filter(|times| **times == 2).count(), 8);
    }
}
