//! What was put aside is applied again: in its key's order, once, whatever dies in between.

use std::sync::{Arc, Mutex};

use ficus_events::{
    Kafka,
    dead_letters::{self, Action, Answer, DeadLetter, Outcome, Scope},
};
use ficus_owners::Side;
use ficus_process::Shutdown;
use sqlx::PgPool;
use trellis_testkit::{Program, kafka, wait_until};

use crate::{
    bench::{Bench, CAPABILITY, PATIENCE, consumer, owned_by, owners},
    dead_letters::{TIMEOUT, letters, wait_for_letters},
    order::assert_in_order,
};

/// Asks, and answers what was heard.
async fn ask(action: Action, letters: &[DeadLetter], scope: Scope) -> Vec<Answer> {
    ask_into(Arc::default(), action, letters, scope).await
}

/// The same with what was heard at hand before it is all.
async fn ask_into(
    heard: Arc<Mutex<Vec<Answer>>>,
    action: Action,
    letters: &[DeadLetter],
    scope: Scope,
) -> Vec<Answer> {
    let told = Arc::clone(&heard);
    let hear = move |answer| told.lock().unwrap().push(answer);
    let kafka = Kafka::from(kafka());
    dead_letters::redrive(&kafka, action, letters, scope, PATIENCE, hear).await.unwrap();
    heard.lock().unwrap().clone()
}

async fn redrive(letters: &[DeadLetter], scope: Scope) -> Vec<Outcome> {
    let answers = ask(Action::Redrive, letters, scope).await;
    answers.into_iter().map(|answer| answer.outcome).collect()
}

async fn mend(bench: &Bench) {
    bench.run("INSERT INTO mended VALUES ('a ladder')").await;
}

/// A bench whose key `bad` has three letters, the first of which can be mended.
async fn with_three_letters() -> (Bench, Vec<DeadLetter>) {
    let mut bench = Bench::new().await;
    bench.start_relay("relay");
    bench.start_consumer(&owners(Side::Monolith), Side::Monolith);
    bench.write_one("bad", b"wants a ladder").await;
    bench.write_one("bad", b"").await;
    bench.write_one("bad", b"").await;
    let letters = wait_for_letters(&bench, 3).await;
    (bench, letters)
}

async fn assert_redriven(bench: &Bench, wanted: usize) {
    assert_in_order(&bench.wait_for_applied(wanted).await);
    assert_eq!(bench.applied().await.len(), wanted);
    assert_eq!(bench.number("SELECT count(*) FROM parked").await, 0);
    assert!(letters(bench).await.is_empty());
}

#[tokio::test]
async fn a_key_that_fails_again_stays_and_one_that_was_mended_goes_on_in_its_order() {
    let (mut bench, dead) = with_three_letters().await;
    let answers = ask(Action::Redrive, &dead, Scope::Keys).await;
    assert_eq!(answers.len(), 1, "{answers:?}");
    let Answer { outcome, reason, attempts, .. } = &answers[0];
    assert_eq!(
        (*outcome, reason.as_str(), *attempts),
        (Outcome::Failed, "there is no a ladder", 6)
    );
    let still = letters(&bench).await;
    assert_eq!((still.len(), still[0].attempts.as_str()), (3, "6"));

    mend(&bench).await;
    bench.write_one("bad", b"").await;
    wait_for_letters(&bench, 4).await;
    assert_eq!(redrive(&dead, Scope::Keys).await, [Outcome::Applied; 4]);
    bench.write_one("bad", b"").await;
    assert_redriven(&bench, 5).await;
    bench.stop().await;
}

#[tokio::test]
async fn one_letter_is_redriven_only_as_the_first_of_its_key() {
    let (mut bench, dead) = with_three_letters().await;
    mend(&bench).await;
    assert_eq!(redrive(&dead[1..2], Scope::Letters).await, [Outcome::Refused]);
    assert_eq!(redrive(&dead[..1], Scope::Letters).await, [Outcome::Applied]);
    assert_eq!(redrive(&dead[..1], Scope::Letters).await, [Outcome::Refused]);
    assert_eq!(bench.number("SELECT count(*) FROM parked").await, 1);
    assert_eq!(redrive(&dead[1..], Scope::Letters).await, [Outcome::Applied; 2]);
    assert_redriven(&bench, 3).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_letter_that_was_applied_before_has_no_effect() {
    let (mut bench, dead) = with_three_letters().await;
    let applied = sqlx::query("INSERT INTO inbox VALUES ($1::uuid)").bind(&dead[0].event_id);
    applied.execute(&bench.pool).await.unwrap();
    let outcomes = redrive(&dead, Scope::Everything).await;
    assert_eq!(outcomes, [Outcome::Known, Outcome::Applied, Outcome::Applied]);
    assert_eq!(bench.applied().await, [("bad".to_owned(), 2), ("bad".to_owned(), 3)]);
    bench.stop().await;
}

#[tokio::test]
async fn a_discarded_letter_is_never_applied_and_lets_its_key_go_on() {
    let (mut bench, dead) = with_three_letters().await;
    let answers = ask(Action::Discard, &dead[..1], Scope::Letters).await;
    assert_eq!(answers[0].outcome, Outcome::Discarded);
    assert_eq!(redrive(&dead, Scope::Keys).await, [Outcome::Applied; 2]);
    assert_eq!(bench.applied().await, [("bad".to_owned(), 2), ("bad".to_owned(), 3)]);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn events_that_come_while_their_key_is_redriven_stay_behind_what_is() {
    let (bench, dead) = with_three_letters().await;
    mend(&bench).await;
    let bench = Arc::new(bench);
    let written = tokio::spawn({
        let bench = Arc::clone(&bench);
        async move {
            for _ in 0..300 {
                bench.write_one("bad", b"").await;
            }
        }
    });
    while bench.number("SELECT count(*) FROM parked").await > 0 {
        redrive(&dead, Scope::Keys).await;
    }
    written.await.unwrap();
    let mut bench = Arc::into_inner(bench).unwrap();
    assert_redriven(&bench, 303).await;
    bench.stop().await;
}

#[tokio::test]
async fn a_redrive_that_the_fence_refuses_waits_and_counts_against_no_letter() {
    let (mut bench, dead) = with_three_letters().await;
    mend(&bench).await;
    bench.run("ALTER TABLE applied ENABLE ALWAYS TRIGGER fence").await;
    let heard = Arc::<Mutex<Vec<Answer>>>::default();
    let into = Arc::clone(&heard);
    let redriven =
        tokio::spawn(async move { ask_into(into, Action::Redrive, &dead, Scope::Keys).await });
    // Refused again and again: more often than a letter may fail.
    wait_until("the fence is to refuse the redrive", PATIENCE, async || {
        !heard.lock().unwrap().is_empty()
            && bench.number("SELECT last_value FROM refusals").await > 3
    })
    .await;
    assert_eq!(letters(&bench).await[0].attempts, "3");
    bench.run("ALTER TABLE applied DISABLE TRIGGER fence").await;
    let answers = redriven.await.unwrap();
    assert_eq!(answers[0].outcome, Outcome::Waiting);
    assert!(answers[0].reason.contains("a switch is under way"), "{}", answers[0].reason);
    assert!(answers[1..].iter().all(|answer| answer.outcome == Outcome::Applied));
    assert_redriven(&bench, 3).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn whoever_owns_the_capability_by_then_redrives() {
    let mut bench = Bench::new().await;
    let (monolith, service) = (owners(Side::Monolith), owners(Side::Monolith));
    bench.start_relay("relay");
    bench.start_consumer(&monolith, Side::Monolith);
    bench.start_consumer(&service, Side::Service);
    bench.write_one("bad", b"wants a ladder").await;
    let dead = wait_for_letters(&bench, 1).await;
    mend(&bench).await;
    service.set(CAPABILITY, owned_by(Side::Service, 2));
    monolith.set(CAPABILITY, owned_by(Side::Service, 2));
    assert_eq!(redrive(&dead, Scope::Keys).await, [Outcome::Applied]);
    assert_eq!(bench.number("SELECT count(*) FROM applied WHERE side = 'service'").await, 1);
    bench.stop().await;
}

const DATABASE: &str = "REDRIVER_DATABASE";
const GROUP: &str = "REDRIVER_GROUP";
const TOPIC: &str = "REDRIVER_TOPIC";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the consumer's process that the next test kills; it runs until then"]
async fn process() {
    let said = |name| std::env::var(name).unwrap();
    let pool = PgPool::connect(&said(DATABASE)).await.unwrap();
    let owners = owners(Side::Monolith);
    let consumer =
        consumer(kafka(), pool.into(), &said(GROUP), &said(TOPIC), &owners, Side::Monolith);
    consumer.run(Shutdown::new()).await;
}

fn start(bench: &Bench, failpoints: &str) -> Program {
    let arguments = ["--exact", "redrive::process", "--ignored", "--nocapture"];
    let url = bench.database.url().to_owned();
    let environment = [
        (DATABASE, url.as_str()),
        (GROUP, &bench.group),
        (TOPIC, &bench.topic),
        ("FICUS_FAILPOINTS", failpoints),
    ];
    Program::start(std::env::current_exe().unwrap(), arguments, environment)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_not_freed_while_an_event_is_on_its_way_to_the_dead_letters() {
    let mut bench = Bench::new().await;
    bench.start_relay("relay");
    let _process = start(&bench, "consumer.followed=wait:1500");
    bench.write_one("bad", b"wants a ladder").await;
    let dead = wait_for_letters(&bench, 1).await;
    mend(&bench).await;
    bench.write_one("bad", b"").await;
    bench.wait_for_relay().await;
    redrive(&dead, Scope::Keys).await;
    bench.write_one("bad", b"").await;
    assert_redriven(&bench, 3).await;
    bench.stop().await;
}

/// The process dies at `point` in the middle of a redrive; the next one goes on.
async fn killed(point: &str) {
    let mut bench = Bench::new().await;
    bench.start_relay("relay");
    let mut process = start(&bench, &format!("{point}=kill"));
    bench.write_one("bad", b"wants a ladder").await;
    bench.write_one("bad", b"").await;
    let dead = wait_for_letters(&bench, 2).await;
    mend(&bench).await;
    let redriven = tokio::spawn(async move { ask(Action::Redrive, &dead, Scope::Keys).await });
    wait_until(&format!("the process is to die at {point}"), PATIENCE, async || {
        !process.is_running()
    })
    .await;
    bench.write_one("bad", b"").await;
    let _next = start(&bench, "");
    let answers = redriven.await.unwrap();
    let settled = |answer: &Answer| matches!(answer.outcome, Outcome::Applied | Outcome::Known);
    assert!(answers.iter().all(settled), "{answers:?}");
    bench.wait_for_relay().await;
    // The third event may have found the key parked and follow the others, if the request was over by then.
    wait_until("the key is to be free", TIMEOUT, async || {
        let left = letters(&bench).await;
        if !left.is_empty() {
            redrive(&left, Scope::Keys).await;
        }
        bench.applied().await.len() == 3
    })
    .await;
    assert_redriven(&bench, 3).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redrive_that_was_killed_between_any_two_of_its_steps_loses_and_doubles_nothing() {
    tokio::join!(killed("redrive.applied"), killed("redrive.told"), killed("redrive.carried-out"));
}
