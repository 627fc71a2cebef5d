//! The comparison.

use std::collections::{HashMap, HashSet};

use ficus_load::{Class, Ledger, Record};
use serde::Serialize;

use super::Facts;
use super::facts::About;
use super::mails::{Taken, message_id};
use crate::scenario::Effect;

/// What was found, in numbers.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Verdict {
    pub acknowledged: usize,
    pub refused: usize,
    pub unknown: usize,
    /// Of the unknown, those that a repeat with the same idempotency key settled.
    pub unknown_converged: usize,
    /// Of these, those that the repeat said were done; the others were refused.
    pub unknown_done: usize,
    pub lost: usize,
    pub doubled: usize,
    pub out_of_order: usize,
    pub stale: usize,
    /// Mails that a crash in the middle of sending explains the repetition of; not counted as doubled.
    pub mails_repeated: usize,
    /// Events that could not be applied.
    pub dead_letters: usize,
    /// What was found, in words; the first of it.
    pub findings: Vec<String>,
}

const FINDINGS_KEPT: usize = 100;

impl Verdict {
    /// Whether nothing was found, and something is known of every write.
    pub fn clean(&self) -> bool {
        self.found() == 0 && self.unknown == self.unknown_converged
    }

    /// How much was found.
    pub fn found(&self) -> usize {
        self.lost + self.doubled + self.out_of_order + self.stale + self.dead_letters
    }

    /// Something that was acknowledged is missing.
    pub fn lose(&mut self, what: &str) {
        self.lost += 1;
        self.note(format!("lost: {what}"));
    }

    /// Something was done twice, or though it was refused.
    pub fn double(&mut self, what: &str) {
        self.doubled += 1;
        self.note(format!("doubled: {what}"));
    }

    /// Answers that lacked what had been acknowledged.
    pub fn note_stale(&mut self, stale: &[String]) {
        self.stale = stale.len();
        for finding in stale {
            self.note(format!("stale: {finding}"));
        }
    }

    /// Puts a finding down in words.
    pub fn note(&mut self, finding: String) {
        if self.findings.len() < FINDINGS_KEPT {
            self.findings.push(finding);
        }
    }
}

/// Compares databases and mails with the ledger. Order and staleness are counted by others.
pub fn judge(ledger: &Ledger<Effect>, facts: &Facts, taken: &Taken) -> Verdict {
    let settled = settled(ledger);
    let mut judge = Judge {
        facts,
        taken,
        verdict: count(ledger),
        marked: marked(&settled),
        items: HashSet::new(),
        mails: HashSet::new(),
    };
    for record in &settled {
        match record.class {
            Class::Acknowledged => judge.acknowledged(record),
            Class::Refused => judge.refused(record),
            Class::Unknown => {}
        }
    }
    judge.last_values(&settled);
    if judge.verdict.unknown == judge.verdict.unknown_converged {
        judge.nothing_else();
    }
    judge.verdict
}

fn count(ledger: &Ledger<Effect>) -> Verdict {
    let first = || ledger.records().iter().filter(|record| record.repeats.is_none());
    let of = |class| first().filter(|record| record.class == class).count();
    let repeated = || ledger.records().iter().filter(|record| record.repeats.is_some());
    let converged = repeated().filter(|record| record.class != Class::Unknown).count();
    let done = repeated().filter(|record| record.class == Class::Acknowledged).count();
    Verdict {
        acknowledged: of(Class::Acknowledged),
        refused: of(Class::Refused),
        unknown: of(Class::Unknown),
        unknown_converged: converged,
        unknown_done: done,
        ..Verdict::default()
    }
}

/// The last word on each write, in the order of the last words.
fn settled(ledger: &Ledger<Effect>) -> Vec<&Record<Effect>> {
    let repeated: HashSet<usize> =
        ledger.records().iter().filter_map(|record| record.repeats).collect();
    ledger.records().iter().filter(|record| !repeated.contains(&record.number)).collect()
}

/// Items that were marked as read, or perhaps.
fn marked(settled: &[&Record<Effect>]) -> HashSet<i64> {
    let done = settled.iter().filter(|record| record.class != Class::Refused);
    let items = done.filter_map(|record| match record.effect {
        Effect::MarkedRead { notification_id } => Some(notification_id),
        _ => None,
    });
    items.collect()
}

/// What is known of a value that was changed several times, one change at a time.
struct Changes<T> {
    /// How often it was changed.
    done: i64,
    /// How often more, perhaps.
    unknown: i64,
    /// What it was given last; nothing if it was not, or perhaps something else after it.
    last: Option<T>,
}

impl<T> Default for Changes<T> {
    fn default() -> Self {
        Self { done: 0, unknown: 0, last: None }
    }
}

impl<T> Changes<T> {
    fn note(&mut self, class: Class, value: Option<T>) {
        match class {
            Class::Acknowledged => {
                self.done += 1;
                if value.is_some() {
                    self.last = value;
                }
            }
            Class::Unknown => {
                self.unknown += 1;
                if value.is_some() {
                    self.last = None;
                }
            }
            Class::Refused => {}
        }
    }
}

/// By task, its title and state.
type Tasks<'a> = HashMap<i64, Changes<(&'a str, &'a str)>>;
/// By user, whether mentions reach the inbox and the mail server.
type Choices = HashMap<i64, Changes<(bool, bool)>>;

struct Judge<'a> {
    facts: &'a Facts,
    taken: &'a Taken,
    verdict: Verdict,
    /// Items that may be read.
    marked: HashSet<i64>,
    /// What somebody should have been told, so that the rest is too much.
    items: HashSet<About>,
    mails: HashSet<(i64, String, String)>,
}

impl Judge<'_> {
    fn acknowledged(&mut self, record: &Record<Effect>) {
        match &record.effect {
            Effect::SignUp { email, user_id } => {
                let found = self.facts.users.get(email).map_or(&[][..], Vec::as_slice);
                self.that_one(found, *user_id, || format!("user {email}"));
                let user = user_id.unwrap_or_default();
                self.told((user, "welcome".to_owned(), 0, 0), "sign-up".to_owned());
            }
            Effect::TaskCreated { task_id, told, .. } => {
                let found = self.facts.tasks.get(&record.marker);
                let found: Vec<i64> = found.into_iter().flatten().map(|task| task.id).collect();
                self.that_one(&found, *task_id, || format!("task {}", record.marker));
                let task = task_id.unwrap_or_default();
                if let Some(user) = told {
                    let about = (*user, "assignment".to_owned(), task, 0);
                    self.told(about, format!("task-{task}-v1"));
                }
            }
            Effect::Commented { task_id, comment_id, mentioned } => {
                let found = self.facts.comments.get(&record.marker).map_or(&[][..], Vec::as_slice);
                self.that_one(found, *comment_id, || format!("comment {}", record.marker));
                let comment = comment_id.unwrap_or_default();
                for user in mentioned {
                    let about = (*user, "mention".to_owned(), *task_id, comment);
                    self.told(about, format!("comment-{comment}"));
                }
            }
            Effect::MarkedRead { notification_id } => {
                if !self.facts.read.contains(notification_id) {
                    self.lost(&format!("inbox item {notification_id} is not read"));
                }
            }
            Effect::TaskUpdated { .. } | Effect::Preferred { .. } => {}
        }
    }

    fn refused(&mut self, record: &Record<Effect>) {
        let left = match &record.effect {
            Effect::SignUp { email, .. } => self.facts.users.contains_key(email),
            Effect::TaskCreated { .. } => self.facts.tasks.contains_key(&record.marker),
            Effect::Commented { .. } => self.facts.comments.contains_key(&record.marker),
            Effect::MarkedRead { notification_id: id } => {
                self.facts.read.contains(id) && !self.marked.contains(id)
            }
            // Told by the number of changes.
            Effect::TaskUpdated { .. } | Effect::Preferred { .. } => false,
        };
        if left {
            self.doubled(&format!("{} {} was refused and is there", record.kind, record.marker));
        }
    }

    /// One inbox item, one mail that is sent, and one that was taken.
    fn told(&mut self, about: About, cause: String) {
        let items = self.facts.items.get(&about).map_or(0, Vec::len);
        self.once(items, || format!("inbox item {about:?}"));
        let mail = (about.0, about.1.clone(), cause);
        self.items.insert(about);
        let mails = self.facts.mails.get(&mail).map(Vec::as_slice).unwrap_or_default();
        self.once(mails.len(), || format!("mail {mail:?}"));
        for found in mails {
            let taken = self.taken.get(&message_id(found.id)).copied().unwrap_or_default();
            let state = &found.state;
            self.once(taken, || format!("mail {} ({state}) at the mail server", found.id));
            if taken == 1 && state != "sent" {
                self.lost(&format!("that mail {} was sent: it is {state}", found.id));
            }
        }
        self.mails.insert(mail);
    }

    /// Of values that were changed several times, one at a time, the last stands and each change counted.
    fn last_values(&mut self, settled: &[&Record<Effect>]) {
        let (mut tasks, mut choices) = (Tasks::new(), Choices::new());
        for record in settled {
            match &record.effect {
                Effect::TaskCreated { task_id: Some(id), .. }
                | Effect::Commented { task_id: id, .. } => {
                    tasks.entry(*id).or_default().note(record.class, None);
                }
                Effect::TaskUpdated { task_id, title, state } => {
                    let value = Some((title.as_str(), *state));
                    tasks.entry(*task_id).or_default().note(record.class, value);
                }
                Effect::Preferred { user_id, in_app, email, .. } => {
                    let value = Some((*in_app, *email));
                    choices.entry(*user_id).or_default().note(record.class, value);
                }
                _ => {}
            }
        }
        self.check_tasks(&tasks);
        self.check_preferences(&choices);
    }

    fn check_tasks(&mut self, expected: &Tasks<'_>) {
        for task in self.facts.tasks.values().flatten() {
            let Some(changes) = expected.get(&task.id) else { continue };
            self.changes(task.version, changes, || format!("task {}", task.id));
            let state = |state: &str| state.trim_start_matches("TASK_STATE_").to_lowercase();
            let stands =
                |(title, last): (&str, &str)| title == task.title && state(last) == task.state;
            if changes.last.is_some_and(|last| !stands(last)) {
                self.lost(&format!("the last change of task {}", task.id));
            }
        }
    }

    fn check_preferences(&mut self, expected: &Choices) {
        for (user, changes) in expected {
            let Some(found) = self.facts.preferences.get(user) else {
                if changes.done > 0 {
                    self.lost(&format!("preferences of user {user}"));
                }
                continue;
            };
            self.changes(found.version, changes, || format!("preferences of user {user}"));
            if changes.last.is_some_and(|last| last != (found.in_app, found.email)) {
                self.lost(&format!("the last change of the preferences of user {user}"));
            }
        }
    }

    /// Whatever nobody should have been told was done once too often.
    fn nothing_else(&mut self) {
        let facts = self.facts;
        for about in
            facts.items.keys().filter(|about| !self.items.contains(*about)).collect::<Vec<_>>()
        {
            self.doubled(&format!("inbox item {about:?} has no cause"));
        }
        for mail in
            facts.mails.keys().filter(|mail| !self.mails.contains(*mail)).collect::<Vec<_>>()
        {
            self.doubled(&format!("mail {mail:?} has no cause"));
        }
        let known: HashSet<String> =
            facts.mails.values().flatten().map(|mail| message_id(mail.id)).collect();
        for id in self.taken.keys().filter(|id| !known.contains(*id)).collect::<Vec<_>>() {
            self.doubled(&format!("{id} was sent and is no mail of the database"));
        }
    }

    /// Once, and under the id that was acknowledged.
    fn that_one(&mut self, found: &[i64], acknowledged: Option<i64>, what: impl Fn() -> String) {
        self.once(found.len(), &what);
        if let ([found], Some(id)) = (found, acknowledged.filter(|id| !found.contains(id))) {
            self.lost(&format!("{}: acknowledged as {id} and there as {found}", what()));
        }
    }

    fn once(&mut self, found: usize, what: impl Fn() -> String) {
        match found {
            0 => self.lost(&what()),
            1 => {}
            _ => self.doubled(&format!("{} is there {found} times", what())),
        }
    }

    fn changes<T>(&mut self, found: i64, expected: &Changes<T>, what: impl Fn() -> String) {
        let (least, most) = (expected.done, expected.done + expected.unknown);
        if found < least {
            self.lost(&format!("{}: {} of {least} changes", what(), least - found));
        } else if found > most {
            self.doubled(&format!("{}: {found} changes instead of {most}", what()));
        }
    }

    fn lost(&mut self, what: &str) {
        self.verdict.lose(what);
    }

    fn doubled(&mut self, what: &str) {
        self.verdict.double(what);
    }
}

#[cfg(test)]
mod tests;
