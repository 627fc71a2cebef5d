//! Carries out what [`dead_letters::redrive`](crate::dead_letters::redrive) asks for, beside the stream of events
//! and with a membership of its own, so that neither waits for the other. Why that keeps every key's order
//! stands in [`dead_letters`](crate::dead_letters).

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use ficus_process::failpoint;
use rdkafka::Message as _;
use uuid::Uuid;

use super::{
    ConsumerConfig, Handler,
    attempt::{Parking, Tried, attempt},
    client::{self, Client},
    dead::DeadLetters,
    failure::Interruption,
    gate::Gate,
    handler::bounded,
};
use crate::{
    Event,
    dead_letters::{self, Action, Command, Letter, Note, Open, Outcome},
    message::header,
};

const PATIENCE: Duration = Duration::from_secs(30);
const AFTER_AN_ERROR: Duration = Duration::from_millis(500);
/// Another process has joined under this one's name, and this one will soon hear so.
const AFTER_A_REPLACEMENT: Duration = Duration::from_secs(5);
const SHORTEST_WAIT: Duration = Duration::from_millis(50);
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// For a letter that is on its way: so often, and so long each time.
const LOOKS: u32 = 20;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

const NO_EVENT: &str = "it is no event: no later one of its key has waited for it. Have it published anew, then discard it";
const GONE: &str = "it is among the dead letters no more";

/// Carries out requests until it is dropped; errors are logged and tried again.
pub async fn run(config: &ConsumerConfig, gate: &Gate, handler: &dyn Handler) -> Infallible {
    loop {
        let error = match follow(config, gate, handler).await {
            Ok(never) => match never {},
            Err(error) => error,
        };
        tracing::warn!(group = config.group, %error, "failed to listen for redrives");
        let is_replaced = matches!(error, client::Error::Replaced);
        tokio::time::sleep(if is_replaced { AFTER_A_REPLACEMENT } else { AFTER_AN_ERROR }).await;
    }
}

async fn follow(
    config: &ConsumerConfig,
    gate: &Gate,
    handler: &dyn Handler,
) -> Result<Infallible, client::Error> {
    let client = Client::join(&config.of_requests())?;
    let mut redriver = Redriver { config, gate, handler, dead: DeadLetters::new(config) };
    loop {
        let batch = client.receive().await?;
        for received in &batch {
            let command = Command::read(&received.message);
            if let Some(command) = command.filter(|command| command.group == config.group) {
                redriver.finish(&command).await;
            }
        }
        client.commit(&batch).await?;
    }
}

/// What is not tried again by the same request.
#[derive(Default)]
struct Staying {
    looked: bool,
    /// By their offsets.
    letters: BTreeSet<i64>,
    keys: BTreeSet<String>,
}

impl Staying {
    fn has(&self, letter: &Letter) -> bool {
        let is_held = letter.is_event() && self.keys.contains(&letter.key());
        is_held || self.letters.contains(&letter.message.offset())
    }
}

struct Redriver<'a> {
    config: &'a ConsumerConfig,
    gate: &'a Gate,
    handler: &'a dyn Handler,
    dead: DeadLetters<'a>,
}

impl Redriver<'_> {
    /// Carries the request out, however long the database, the broker or the fence refuse. Never returns if the
    /// capability is lost: then the new owner hears the request too.
    async fn finish(&mut self, command: &Command) {
        tracing::info!(?command, "a redrive begins");
        let mut wait = SHORTEST_WAIT;
        let mut told = false;
        while let Err(interruption) = self.carry_out(command).await {
            let reason = match interruption {
                Interruption::NotOwner => std::future::pending().await,
                Interruption::Fenced => "the fence refuses: a switch is under way, and whoever owns \
                                         the capability after it goes on; `ficus move list` shows it"
                    .to_owned(),
                Interruption::Database(error) => format!("the consumer's database fails: {error}"),
                Interruption::Broker(error) => format!("the broker fails: {error}"),
                Interruption::Letters(error) => error.to_string(),
            };
            tracing::warn!(reason, "a redrive waits");
            if !told {
                told = self.tell(command, None, Outcome::Waiting, &reason, 0).await.is_ok();
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    async fn carry_out(&mut self, command: &Command) -> Result<(), Interruption> {
        let mut stays = Staying::default();
        for _ in 0..LOOKS {
            self.settle_all(command, &mut stays).await?;
            if self.free_all(command, &stays).await? {
                break;
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        failpoint::reach("redrive.carried-out").await;
        self.tell(command, None, Outcome::Done, "", 0).await
    }

    /// Goes through the letters that are there now, by their offsets.
    async fn settle_all(
        &mut self,
        command: &Command,
        stays: &mut Staying,
    ) -> Result<(), Interruption> {
        let open = self.open(command).await?;
        if let Some(offset) = command.letter.filter(|_| !stays.looked)
            && let Some(refusal) = refusal(command, &open, offset)
        {
            let note =
                Note { letter: Some(offset), ..note(command, Outcome::Refused, &refusal, 0) };
            self.dead.note(command, None, &note).await?;
            stays.letters.insert(offset);
        }
        stays.looked = true;
        for letter in open.letters.iter().filter(|letter| command.is_about(letter)) {
            if stays.has(letter) || self.settle(command, letter).await? {
                continue;
            }
            stays.letters.insert(letter.message.offset());
            if letter.is_event() {
                stays.keys.insert(letter.key());
            }
        }
        Ok(())
    }

    /// Frees the keys that nothing is left of; false if there is more to do.
    async fn free_all(&self, command: &Command, stays: &Staying) -> Result<bool, Interruption> {
        let open = self.open(command).await?;
        let settled = open.settled.iter().filter(|settled| settled.command_id == command.id);
        let mut is_all = true;
        for key in settled.map(|settled| settled.key.as_str()).collect::<BTreeSet<_>>() {
            let mut left =
                open.letters.iter().filter(|letter| letter.is_event() && letter.key() == key);
            is_all &= match left.next() {
                Some(next) => stays.has(next) || command.letter.is_some(),
                None => self.free(&open, key).await?,
            };
        }
        Ok(is_all)
    }

    async fn free(&self, open: &Open, key: &str) -> Result<bool, Interruption> {
        let settled = open.settled.iter().filter(|settled| settled.key == key);
        let ids: Vec<Uuid> = settled.clone().map(|settled| settled.event_id).collect();
        let topics: BTreeSet<&str> = settled.map(|settled| settled.origin_topic.as_str()).collect();
        let _guard = self.gate.enter().await?;
        let mut tx = self.handler.begin().await?;
        let mut is_free = true;
        for topic in topics {
            is_free &= bounded(self.handler.unpark(&mut tx, topic, key, &ids)).await?;
        }
        bounded(tx.commit()).await?;
        Ok(is_free)
    }

    /// What this group's letters in that partition are now.
    async fn open(&self, command: &Command) -> Result<Open, Interruption> {
        let (topic, partition) = (&command.topic, command.partition);
        let mut open = dead_letters::open(&self.config.kafka, topic, partition, PATIENCE).await?;
        open.letters.retain(|letter| letter.said(header::GROUP) == command.group);
        open.settled.retain(|settled| settled.group == command.group);
        Ok(open)
    }

    /// Applies or discards one letter; false if it stays.
    async fn settle(&mut self, command: &Command, letter: &Letter) -> Result<bool, Interruption> {
        let (outcome, reason, attempts) = match command.action {
            Action::Discard => self.discard(letter).await?,
            Action::Redrive => self.apply(letter).await?,
        };
        failpoint::reach("redrive.applied").await;
        let attempts = letter.attempts() + attempts;
        self.tell(command, Some(letter), outcome, &reason, attempts).await?;
        failpoint::reach("redrive.told").await;
        Ok(matches!(outcome, Outcome::Applied | Outcome::Known | Outcome::Discarded))
    }

    async fn apply(&self, letter: &Letter) -> Result<(Outcome, String, u32), Interruption> {
        if !letter.is_event() {
            return Ok((Outcome::Refused, NO_EVENT.to_owned(), 0));
        }
        let event = match letter.event() {
            Ok(event) => event,
            Err(reason) => return Ok((Outcome::Failed, reason, 1)),
        };
        let tried = attempt(&event, self.gate, self.handler, Parking::Ignored).await?;
        Ok(match tried {
            Tried::Applied => (Outcome::Applied, String::new(), 1),
            Tried::Known | Tried::Parked => (Outcome::Known, String::new(), 0),
            Tried::Failed { reason, attempts } => (Outcome::Failed, reason, attempts),
        })
    }

    /// Into the inbox without its effects, so that it has none if it should come again.
    async fn discard(&self, letter: &Letter) -> Result<(Outcome, String, u32), Interruption> {
        if let Ok(Event { id, .. }) = letter.event() {
            let _guard = self.gate.enter().await?;
            let mut tx = self.handler.begin().await?;
            let fresh = bounded(self.handler.fresh(&mut tx, &[id])).await?;
            bounded(tx.commit()).await?;
            if fresh.is_empty() {
                return Ok((Outcome::Known, String::new(), 0));
            }
        }
        Ok((Outcome::Discarded, String::new(), 0))
    }

    async fn tell(
        &mut self,
        command: &Command,
        letter: Option<&Letter>,
        outcome: Outcome,
        reason: &str,
        attempts: u32,
    ) -> Result<(), Interruption> {
        let mut note = note(command, outcome, reason, attempts);
        note.letter = letter.map(|letter| letter.message.offset());
        Ok(self.dead.note(command, letter, &note).await?)
    }
}

fn note(command: &Command, outcome: Outcome, reason: &str, attempts: u32) -> Note {
    let command_id = command.id.clone();
    Note { command_id, outcome, letter: None, reason: reason.to_owned(), attempts }
}

/// Why a request for one letter must not be carried out.
fn refusal(command: &Command, open: &Open, offset: i64) -> Option<String> {
    let Some(letter) = open.letters.iter().find(|letter| letter.message.offset() == offset) else {
        let is_settled = open.settled.iter().any(|settled| settled.command_id == command.id);
        return (!is_settled).then(|| GONE.to_owned());
    };
    let is_before = |other: &&Letter| other.is_event() && other.key() == letter.key();
    let first = open.letters.iter().find(is_before)?.message.offset();
    (command.action == Action::Redrive && letter.is_event() && first < offset)
        .then(|| format!("offset {first} of the same partition is of its key and comes first"))
}
