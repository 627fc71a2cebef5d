//! What cannot be applied is put aside with its key, and nothing else waits for it.

use std::time::Duration;

use ficus_events::{
    Kafka,
    dead_letters::{self, DeadLetter},
};
use ficus_owners::Side;
use trellis_testkit::{kafka, wait_until};

use crate::bench::{Bench, PATIENCE, owners};

pub const TIMEOUT: Duration = Duration::from_secs(30);

pub async fn letters(bench: &Bench) -> Vec<DeadLetter> {
    let topic = format!("{}.dlq", bench.topic);
    dead_letters::list(&Kafka::from(kafka()), Some(&topic), TIMEOUT).await.unwrap()
}

pub async fn wait_for_letters(bench: &Bench, wanted: usize) -> Vec<DeadLetter> {
    wait_until("the dead letters are to arrive", PATIENCE, async || {
        letters(bench).await.len() >= wanted
    })
    .await;
    letters(bench).await
}

#[tokio::test]
async fn a_poisonous_event_parks_its_key_and_the_others_go_on() {
    let mut bench = Bench::new().await;
    bench.start_relay("relay");
    bench.start_consumer(&owners(Side::Monolith), Side::Monolith);
    bench.write_one("good", b"").await;
    bench.write_one("bad", b"rejected").await;
    bench.write_one("bad", b"").await;
    bench.write_one("good", b"").await;
    let applied = bench.wait_for_applied(2).await;
    let letters = wait_for_letters(&bench, 2).await;

    assert_eq!(applied, [("good".to_owned(), 1), ("good".to_owned(), 2)]);
    let told: Vec<_> = letters
        .iter()
        .map(|l| (l.key.as_str(), l.version.as_str(), l.error.as_str(), l.attempts.as_str()))
        .collect();
    let follows = "an earlier message of this key could not be applied";
    assert_eq!(told, [("bad", "1", "it cannot be read", "1"), ("bad", "2", follows, "0")]);
    assert!(letters[0].origin.starts_with(&format!("{}/", bench.topic)), "{}", letters[0].origin);
    assert_eq!(bench.number("SELECT count(*) FROM inbox").await, 2);
    bench.stop().await;

    let DeadLetter { topic, partition, offset, .. } = &letters[0];
    let kafka = Kafka::from(kafka());
    let shown = dead_letters::show(&kafka, topic, *partition, *offset, TIMEOUT).await.unwrap();
    assert_eq!(&shown.unwrap().payload[..], b"rejected");
    let none = dead_letters::show(&kafka, topic, *partition, *offset + 99, TIMEOUT).await.unwrap();
    assert!(none.is_none());
}

#[tokio::test]
async fn an_event_that_fails_is_tried_three_times() {
    let mut bench = Bench::new().await;
    bench.start_relay("relay");
    bench.start_consumer(&owners(Side::Monolith), Side::Monolith);
    bench.write_one("bad", b"failing").await;
    let letters = wait_for_letters(&bench, 1).await;
    assert_eq!(
        (letters[0].attempts.as_str(), letters[0].error.as_str()),
        ("3", "it does not work")
    );
    assert_eq!(bench.number("SELECT count(*) FROM parked").await, 1);
    bench.stop().await;
}
