//! One message in a hundred cannot be applied, in every way there is; the others do not wait for it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use ficus_events::dead_letters::DeadLetter;
use ficus_owners::Side;
use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer as _},
    message::{Header, OwnedHeaders},
    producer::{DeliveryFuture, FutureProducer, FutureRecord},
};
use serde_json::Value;
use trellis_testkit::{binary, kafka, wait_until};
use uuid::Uuid;

use crate::{
    bench::{Bench, KIND, PATIENCE, owners},
    dead_letters::letters,
    order::assert_in_order,
};

const EVENTS: usize = 3_000;
/// Between two events: 500 a second.
const PACE: Duration = Duration::from_millis(2);
const KEYS: usize = 40;
/// What other keys may be behind.
const LAG: Duration = Duration::from_secs(5);
/// The broker's own limit leaves no place for a letter's headers.
const LARGEST: usize = 1_048_000;

/// A message that no relay of ours would send, by what is wrong with it and what its letter must say of it.
struct Poison {
    key: Option<Vec<u8>>,
    payload: Option<Vec<u8>>,
    kind: &'static str,
    /// Replaces a header; without a value it is left out.
    header: Option<(&'static str, Option<&'static str>)>,
    reason: &'static str,
}

fn poisons() -> Vec<Poison> {
    let payload = |payload: &[u8], reason| Poison {
        key: None,
        payload: Some(payload.to_vec()),
        kind: KIND,
        header: None,
        reason,
    };
    let header =
        |name, value, reason| Poison { header: Some((name, value)), ..payload(b"", reason) };
    vec![
        payload(b"rejected", "it cannot be read"),
        payload(b"failing", "it does not work"),
        payload(b"wants a ladder", "there is no a ladder"),
        payload(b"nul", "0x00"),
        payload(&vec![0; 300 * 1024], "the payload has 307200 bytes"),
        payload(&vec![0; LARGEST], "the payload has 1048000 bytes"),
        Poison { payload: None, ..payload(b"", "no payload") },
        Poison {
            kind: "library.v1.BookBurnt",
            ..payload(b"", "library.v1.BookBurnt is not known")
        },
        Poison { key: Some(Vec::new()), ..payload(b"", "no key") },
        Poison { key: Some(b"nul\0".to_vec()), ..payload(b"", "the key has a NUL") },
        header("ce_id", None, "no header ce_id"),
        header("content-type", Some("text/csv"), "header content-type is \"text/csv\""),
        header("ce_sequence", Some("-7"), "header ce_sequence cannot be read"),
        header("ce_specversion", Some("0.3"), "header ce_specversion is \"0.3\""),
    ]
}

fn headers(kind: &str, version: i64, changed: Option<(&str, Option<&str>)>) -> OwnedHeaders {
    let (id, version) = (Uuid::from_bytes(ficus_process::random::bytes()), version.to_string());
    let id = id.to_string();
    let all = [
        ("ce_specversion", "1.0"),
        ("ce_id", &id),
        ("ce_type", kind),
        ("ce_sequence", &version),
        ("content-type", "application/protobuf"),
    ];
    let value = |name, value| match changed {
        Some((changed, value)) if changed == name => value,
        _ => Some(value),
    };
    let all = all.into_iter().filter_map(|(name, was)| Some((name, value(name, was)?)));
    all.fold(OwnedHeaders::new(), |all, (key, value)| {
        all.insert(Header { key, value: Some(value) })
    })
}

struct Sender {
    producer: FutureProducer,
    topic: String,
    versions: BTreeMap<String, i64>,
}

impl Sender {
    fn new(topic: &str) -> Self {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", kafka())
            .set("message.max.bytes", "2000000")
            .set("partitioner", "murmur2_random")
            .create()
            .unwrap();
        Self { producer, topic: topic.to_owned(), versions: BTreeMap::new() }
    }

    fn good(&mut self, key: &str) -> DeliveryFuture {
        let version = self.versions.entry(key.to_owned()).or_default();
        *version += 1;
        let headers = headers(KIND, *version, None);
        let record = FutureRecord::to(&self.topic).key(key).payload("").headers(headers);
        self.producer.send_result(record).map_err(|(error, _)| error).unwrap()
    }

    /// Sends it and answers its origin.
    async fn poison(&mut self, poison: &Poison, index: usize) -> String {
        let own = format!("poison-{index}");
        let key = poison.key.clone().unwrap_or_else(|| own.clone().into_bytes());
        let headers = headers(poison.kind, 1, poison.header);
        self.versions.insert(own, 1);
        let mut record = FutureRecord::to(&self.topic).key(&key).headers(headers);
        record.payload = poison.payload.as_ref();
        let delivery = self.producer.send(record, PATIENCE).await.unwrap();
        format!("{}/{}/{}", self.topic, delivery.partition, delivery.offset)
    }
}

/// Whether what had been sent some time ago has been applied; how long the last of it took.
async fn assert_timely(bench: &Bench, sent: &mut VecDeque<(Instant, i64)>, most: &mut Duration) {
    if sent.is_empty() {
        return;
    }
    let applied = bench.number("SELECT count(*) FROM applied WHERE key LIKE 'book-%'").await;
    while let Some((at, _)) = sent.pop_front_if(|(_, wanted)| *wanted <= applied) {
        *most = at.elapsed().max(*most);
    }
    if let Some((at, wanted)) = sent.front() {
        assert!(
            at.elapsed() < LAG,
            "{LAG:?} after {wanted} events were sent {applied} are applied"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn poison_amid_a_stream_goes_aside_and_what_can_be_mended_is_redriven_in_order() {
    let mut bench = Bench::new().await;
    bench.start_consumer(&owners(Side::Monolith), Side::Monolith);
    let mut sender = Sender::new(&bench.topic);
    // The stream begins when the consumer has joined.
    sender.good("first").await.unwrap().map_err(|(error, _)| error).unwrap();
    bench.wait_for_applied(1).await;
    let poisons = poisons();
    let mut wanted = BTreeMap::new();
    let (mut sent, mut delivered) = (VecDeque::new(), Vec::new());
    let mut most = Duration::ZERO;
    let mut next = tokio::time::interval(PACE);
    for number in 0..EVENTS {
        next.tick().await;
        delivered.push(sender.good(&format!("book-{}", number % KEYS)));
        if number % 100 == 50 {
            let index = number / 100;
            let poison = &poisons[index % poisons.len()];
            let origin = sender.poison(poison, index).await;
            wanted.insert(origin, poison.reason);
            sent.push_back((Instant::now(), i64::try_from(number).unwrap()));
        }
        if number % 20 == 0 {
            assert_timely(&bench, &mut sent, &mut most).await;
        }
    }
    for report in delivered {
        report.await.unwrap().map_err(|(error, _)| error).unwrap();
    }
    while !sent.is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_timely(&bench, &mut sent, &mut most).await;
    }

    eprintln!("other keys were behind by {most:?} at most");
    wait_until("each poison is to lie among the dead letters", PATIENCE, async || {
        letters(&bench).await.len() >= wanted.len()
    })
    .await;
    assert_told(&letters(&bench).await, &wanted);
    assert_committed(&bench);
    redriven(&bench, &mut sender, wanted.len()).await;
    let topic = format!("{}.dlq", bench.topic);
    bench.stop().await;
    let (status, letters) = redrive(&["--topic", &topic, "--timeout", "1s"]).await;
    assert_eq!((status, letters[0].as_str()), (1, "stays"), "nobody is there to do it");
}

/// `ficus dlq redrive`: its exit status, and the outcome of each letter.
async fn redrive(which: &[&str]) -> (i32, Vec<String>) {
    let output = tokio::process::Command::new(binary("ficus"))
        .args(["--json", "dlq", "--brokers", &kafka(), "redrive"])
        .args(which)
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let complained = String::from_utf8_lossy(&output.stderr);
    let told: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("redrive {which:?}: {error}: {complained}"));
    let outcome = |letter: &Value| letter["outcome"].as_str().unwrap().to_owned();
    let letters = told["letters"].as_array().unwrap().iter().map(outcome).collect();
    (output.status.code().unwrap(), letters)
}

fn assert_told(letters: &[DeadLetter], wanted: &BTreeMap<String, &str>) {
    assert_eq!(letters.len(), wanted.len());
    for letter in letters {
        let reason = wanted.get(&letter.origin).unwrap_or_else(|| panic!("{}", letter.origin));
        assert!(letter.error.contains(reason), "{} instead of {reason}", letter.error);
    }
}

/// The group has nothing left to read.
fn assert_committed(bench: &Bench) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", kafka())
        .set("group.id", &bench.group)
        .create()
        .unwrap();
    let mut partitions = rdkafka::TopicPartitionList::new();
    partitions.add_partition_range(&bench.topic, 0, 3);
    let committed = consumer.committed_offsets(partitions, PATIENCE).unwrap();
    for place in committed.elements() {
        let (_, end) =
            consumer.fetch_watermarks(&bench.topic, place.partition(), PATIENCE).unwrap();
        assert_eq!(place.offset().to_raw(), Some(end), "partition {}", place.partition());
    }
}

/// Events that follow those which wanted a ladder wait for them; with the ladder all go on.
async fn redriven(bench: &Bench, sender: &mut Sender, before: usize) {
    let waiting: BTreeSet<String> = letters(bench)
        .await
        .into_iter()
        .filter(|letter| letter.error.contains("ladder"))
        .map(|letter| letter.key)
        .collect();
    assert!(waiting.len() > 1);
    for key in waiting.iter().chain(&waiting) {
        sender.good(key).await.unwrap().map_err(|(error, _)| error).unwrap();
    }
    wait_until("later events are to follow", PATIENCE, async || {
        letters(bench).await.len() == before + 2 * waiting.len()
    })
    .await;
    let topic = format!("{}.dlq", bench.topic);
    let of_key = ["--topic", &topic, "--key", waiting.first().unwrap()];
    let planned = redrive(&[&of_key[..], &["--dry-run"]].concat()).await;
    assert_eq!(planned, (0, vec!["would be asked for".to_owned(); 3]));
    let too_early = redrive(&of_key).await;
    assert_eq!(too_early, (2, ["failed", "stays", "stays"].map(str::to_owned).into()));

    bench.run("INSERT INTO mended VALUES ('a ladder')").await;
    let dead = letters(bench).await;
    let (status, told) = redrive(&["--topic", &topic, "--consumer", &bench.group]).await;
    let applied = told.iter().filter(|outcome| *outcome == "applied").count();
    assert_eq!((status, applied), (2, 3 * waiting.len()), "the others stay: {told:?}");
    assert_eq!(letters(bench).await.len(), before - waiting.len());
    let applied = bench.applied().await;
    assert_in_order(&applied);
    assert_eq!(applied.len(), 1 + EVENTS + 3 * waiting.len());
    let events = dead.iter().filter(|letter| letter.is_event()).map(|letter| &letter.key);
    let parked = events.filter(|key| !waiting.contains(*key)).collect::<BTreeSet<_>>().len();
    let still = bench.number("SELECT count(*) FROM parked").await;
    assert_eq!(usize::try_from(still).unwrap(), parked);
}
