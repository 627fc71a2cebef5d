//! From what lies in a partition to the letters that are open.

use std::collections::{BTreeMap, HashMap, HashSet};

use rdkafka::{Message as _, message::OwnedMessage};
use uuid::Uuid;

use super::{
    Cause,
    ask::{Note, Outcome},
    key,
};
use crate::{
    Event,
    message::{header, text},
};

/// A letter that is open.
#[derive(Clone, Debug)]
pub struct Letter {
    pub message: OwnedMessage,
    /// Of the latest attempt.
    pub error: String,
    /// In all.
    pub attempts: String,
}

/// A letter that needs nothing any more.
#[derive(Clone, Debug)]
pub struct Settled {
    pub group: String,
    /// Of the request that settled it.
    pub command_id: String,
    pub key: String,
    pub event_id: Uuid,
    pub origin_topic: String,
}

/// What one partition says.
#[derive(Debug, Default)]
pub struct Open {
    /// By offset.
    pub letters: Vec<Letter>,
    pub settled: Vec<Settled>,
}

impl Letter {
    pub fn said(&self, name: &str) -> String {
        text(&self.message, name).unwrap_or_default()
    }

    pub fn key(&self) -> String {
        key(&self.message)
    }

    pub fn is_event(&self) -> bool {
        self.said(header::CAUSE) != Cause::Unreadable.as_str()
    }

    pub fn attempts(&self) -> u32 {
        self.attempts.parse().unwrap_or(0)
    }

    /// The event as it first stood in its topic.
    pub fn event(&self) -> Result<Event, String> {
        Event::read(&self.message, &self.said(header::ORIGIN_TOPIC))
    }
}

/// A group's event, if the message says both.
type Identity = (String, String);

fn identity(message: &OwnedMessage) -> Option<Identity> {
    let group = text(message, header::GROUP)?;
    Some((group, text(message, header::ID).filter(|id| !id.is_empty())?))
}

#[derive(Default)]
struct Folding {
    letters: BTreeMap<i64, Letter>,
    /// Where the letter of each event is.
    known: HashMap<Identity, i64>,
    gone: HashSet<Identity>,
    settled: Vec<Settled>,
}

/// Reads what lies in one partition, from its start or from a letter on.
pub fn fold(messages: impl IntoIterator<Item = OwnedMessage>) -> Open {
    let mut folding = Folding::default();
    for message in messages {
        if text(&message, header::COMMAND).is_some() {
            continue;
        }
        match Note::read(&message) {
            Some(note) => folding.note(&message, &note),
            None => folding.letter(message),
        }
    }
    Open { letters: folding.letters.into_values().collect(), settled: folding.settled }
}

impl Folding {
    /// A letter is written again after a crash: the first counts.
    fn letter(&mut self, message: OwnedMessage) {
        let offset = message.offset();
        if let Some(identity) = identity(&message) {
            if self.gone.contains(&identity) || self.known.contains_key(&identity) {
                return;
            }
            self.known.insert(identity, offset);
        }
        let said = |name| text(&message, name).unwrap_or_default();
        let (error, attempts) = (said(header::ERROR), said(header::ATTEMPTS));
        self.letters.insert(offset, Letter { message, error, attempts });
    }

    fn note(&mut self, message: &OwnedMessage, note: &Note) {
        let Some(offset) = note.letter else { return };
        match note.outcome {
            Outcome::Applied | Outcome::Known | Outcome::Discarded => {
                self.letters.remove(&offset);
                self.settle(message, note);
            }
            Outcome::Failed => {
                if let Some(letter) = self.letters.get_mut(&offset) {
                    letter.error.clone_from(&note.reason);
                    letter.attempts = note.attempts.to_string();
                }
            }
            Outcome::Waiting | Outcome::Refused | Outcome::Done => {}
        }
    }

    fn settle(&mut self, message: &OwnedMessage, note: &Note) {
        let Some(identity) = identity(message) else { return };
        if let Some(offset) = self.known.get(&identity) {
            self.letters.remove(offset);
        }
        if let Ok(event_id) = identity.1.parse() {
            let origin_topic = text(message, header::ORIGIN_TOPIC).unwrap_or_default();
            self.settled.push(Settled {
                group: identity.0.clone(),
                command_id: note.command_id.clone(),
                key: key(message),
                event_id,
                origin_topic,
            });
        }
        self.gone.insert(identity);
    }
}
