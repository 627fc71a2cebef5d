//! Asking for a redrive, and what is answered.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rdkafka::{
    Message as _,
    message::{Header, OwnedHeaders, OwnedMessage},
    producer::FutureRecord,
};

use super::{DeadLetter, Error, Letter, reader};
use crate::{
    Kafka,
    kafka::{Producer, delivered},
    message::{header, text},
};

/// What is to be done with letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Apply them, as the events that they are.
    Redrive,
    /// Never apply them.
    Discard,
}

impl Action {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Discard => "discard",
        }
    }

    fn named(name: &str) -> Option<Self> {
        [Self::Redrive, Self::Discard].into_iter().find(|action| action.as_str() == name)
    }
}

/// What came of a letter, or of the whole request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Applied,
    /// It was applied before, so nothing was done.
    Known,
    Discarded,
    /// It stays, and so do those behind it.
    Failed,
    /// Nothing was tried, because of what the reason says.
    Refused,
    /// Something keeps the request from going on; it waits.
    Waiting,
    /// That was all.
    Done,
}

impl Outcome {
    /// As it stands in headers and in what is printed for machines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Known => "applied before",
            Self::Discarded => "discarded",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Waiting => "waiting",
            Self::Done => "done",
        }
    }

    fn named(name: &str) -> Option<Self> {
        use Outcome::{Applied, Discarded, Done, Failed, Known, Refused, Waiting};
        let all = [Applied, Known, Discarded, Failed, Refused, Waiting, Done];
        all.into_iter().find(|outcome| outcome.as_str() == name)
    }
}

/// Which of the letters that are handed over a request is about; later ones of the same scope belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// These alone.
    Letters,
    /// All of their keys.
    Keys,
    /// All of their consumers and topics.
    Everything,
}

/// One word of a consumer about a request.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `topic/partition/offset` of the letter, if it is about one.
    pub place: Option<String>,
    pub outcome: Outcome,
    pub reason: String,
    /// At that letter, in all.
    pub attempts: u32,
}

/// A request to one group, in one partition.
#[derive(Clone, Debug)]
pub struct Command {
    pub id: String,
    pub action: Action,
    pub group: String,
    /// The dead letters' topic.
    pub topic: String,
    pub partition: i32,
    /// Of this key only.
    pub key: Option<String>,
    /// Of this letter only.
    pub letter: Option<i64>,
}

impl Command {
    /// `None` if the message is something else.
    pub fn read(message: &OwnedMessage) -> Option<Self> {
        Some(Self {
            action: Action::named(&text(message, header::COMMAND)?)?,
            id: text(message, header::COMMAND_ID)?,
            group: text(message, header::GROUP)?,
            topic: message.topic().to_owned(),
            partition: message.partition(),
            key: text(message, header::KEY),
            letter: text(message, header::LETTER).and_then(|offset| offset.parse().ok()),
        })
    }

    pub fn is_about(&self, letter: &Letter) -> bool {
        self.key.as_ref().is_none_or(|key| *key == letter.key())
            && self.letter.is_none_or(|offset| offset == letter.message.offset())
    }

    fn headers(&self) -> OwnedHeaders {
        let letter = self.letter.map(|offset| offset.to_string());
        let headers = [
            (header::COMMAND, Some(self.action.as_str())),
            (header::COMMAND_ID, Some(self.id.as_str())),
            (header::GROUP, Some(self.group.as_str())),
            (header::KEY, self.key.as_deref()),
            (header::LETTER, letter.as_deref()),
        ];
        let said = headers.into_iter().filter(|(_, value)| value.is_some());
        said.fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value }))
    }
}

/// What a consumer writes behind the letters.
#[derive(Clone, Debug)]
pub struct Note {
    pub command_id: String,
    pub outcome: Outcome,
    pub letter: Option<i64>,
    pub reason: String,
    pub attempts: u32,
}

impl Note {
    /// `None` if the message is something else.
    pub fn read(message: &OwnedMessage) -> Option<Self> {
        Some(Self {
            outcome: Outcome::named(&text(message, header::OUTCOME)?)?,
            command_id: text(message, header::COMMAND_ID).unwrap_or_default(),
            letter: text(message, header::LETTER).and_then(|offset| offset.parse().ok()),
            reason: text(message, header::ERROR).unwrap_or_default(),
            attempts: text(message, header::ATTEMPTS)
                .and_then(|attempts| attempts.parse().ok())
                .unwrap_or(0),
        })
    }
}

/// Asks the consumers of `letters` to carry out `action` on them and waits until they have; `heard` is told
/// each answer when it comes. Letters that do not say their consumer cannot be asked for.
///
/// # Errors
/// [`Error::Unanswered`] when no consumer has said a word for as long as `patience`. Asking again does no harm.
pub async fn redrive(
    kafka: &Kafka,
    action: Action,
    letters: &[DeadLetter],
    scope: Scope,
    patience: Duration,
    heard: impl FnMut(Answer) + Send + 'static,
) -> Result<(), Error> {
    let commands = commands(action, letters, scope);
    let places: BTreeSet<(String, i32)> =
        commands.iter().map(|command| (command.topic.clone(), command.partition)).collect();
    let ends = reader::blocking(kafka, patience, move |reader| reader.ends(places)).await?;
    let mut producer = Producer::connect(kafka)?;
    let sending = tokio::time::timeout(patience, send(&mut producer, &commands));
    sending.await.map_err(|_| Error::Timeout)??;
    let ids = commands.into_iter().map(|command| command.id).collect();
    reader::blocking(kafka, patience, move |reader| reader.answers(&ends, ids, patience, heard))
        .await
}

/// The fewest that are about all of the letters.
fn commands(action: Action, letters: &[DeadLetter], scope: Scope) -> Vec<Command> {
    let mut commands = BTreeMap::new();
    for letter in letters.iter().filter(|letter| !letter.group.is_empty()) {
        let key = (scope != Scope::Everything).then(|| letter.key.clone());
        let offset = (scope == Scope::Letters).then_some(letter.offset);
        let about = (letter.topic.clone(), letter.partition, letter.group.clone(), key, offset);
        commands.entry(about).or_insert_with(|| {
            format!("{:032x}", u128::from_ne_bytes(ficus_process::random::bytes()))
        });
    }
    let command = |((topic, partition, group, key, letter), id)| Command {
        id,
        action,
        group,
        topic,
        partition,
        key,
        letter,
    };
    commands.into_iter().map(command).collect()
}

async fn send(producer: &mut Producer, commands: &[Command]) -> Result<(), Error> {
    let mut reports = Vec::with_capacity(commands.len());
    for command in commands {
        let record = FutureRecord::to(&command.topic)
            .partition(command.partition)
            .headers(command.headers());
        reports.push(producer.queue(record)?);
    }
    for report in reports {
        delivered(report).await?;
    }
    Ok(())
}
