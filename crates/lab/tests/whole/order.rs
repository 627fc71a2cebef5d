//! The old owner's relay is stopped through a switch with something left to send.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use trellis_testkit::{Pool, wait_until};

use crate::broker::Message;
use crate::moves::{done, switch};
use crate::people::{People, Person};
use crate::stack::{PATIENCE, Stack};

const TOPIC: &str = "trellis.notifications.v1";
const STOPPED_FOR: Duration = Duration::from_secs(5);

/// Persons who change their preferences over and over.
struct Choosers {
    tasks: Vec<JoinHandle<(i64, i64)>>,
    ended: Arc<AtomicBool>,
    /// Changes that were acknowledged.
    count: Arc<AtomicI64>,
}

impl Choosers {
    fn start(persons: Vec<Person>) -> Self {
        let (ended, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicI64::new(0)));
        let tasks = persons
            .into_iter()
            .map(|person| tokio::spawn(choose(person, Arc::clone(&ended), Arc::clone(&count))));
        Self { tasks: tasks.collect(), ended, count }
    }

    async fn have_gone_on(&self) {
        let before = self.count.load(Ordering::Relaxed);
        wait_until("preferences are changed", PATIENCE, async || {
            self.count.load(Ordering::Relaxed) >= before + 8
        })
        .await;
    }

    /// The last version by event key.
    async fn end(self) -> BTreeMap<String, i64> {
        self.ended.store(true, Ordering::Relaxed);
        let mut last = BTreeMap::new();
        for task in self.tasks {
            let (person, version) = task.await.unwrap();
            last.insert(format!("preferences-{person}"), version);
        }
        last
    }
}

async fn choose(person: Person, ended: Arc<AtomicBool>, count: Arc<AtomicI64>) -> (i64, i64) {
    let mut version = 0;
    while !ended.load(Ordering::Relaxed) {
        let next = person.chooses(version % 2 == 0).await;
        assert_eq!(next, version + 1, "a change was lost or made twice");
        version = next;
        count.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    (person.id, version)
}

/// What is stopped for 5 s from the fence on.
#[derive(PartialEq, Eq)]
enum Stopped {
    Relay,
    Process,
}

#[tokio::test(flavor = "multi_thread")]
async fn events_keep_their_order_though_the_old_relay_rests_through_the_switch() {
    kept_in_order(Stopped::Relay).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_keep_their_order_though_the_old_owner_is_stopped_after_the_fence() {
    kept_in_order(Stopped::Process).await;
}

async fn kept_in_order(what: Stopped) {
    let mut stack = Stack::start().await;
    stack.kill("controller");
    stack.run("controller", "controller.before.C1=stop;controller.before.C6=stop").await;
    let people = People::of(&stack);
    let mut persons = Vec::new();
    for _ in 0..4 {
        persons.push(people.new_person().await);
    }
    stack.copied().await;
    let choosers = Choosers::start(persons);
    choosers.have_gone_on().await;

    let switching = tokio::spawn(switch(stack.moves().await, true));
    stopped(&stack).await;
    // What is written from here to the fence is the old relay's to send, and not sent yet.
    hold(&stack.monolith, true).await;
    choosers.have_gone_on().await;
    go_on(&stack).await;
    stopped(&stack).await;
    if what == Stopped::Process {
        stack.signal("monolith", "STOP");
        hold(&stack.monolith, false).await;
    }
    go_on(&stack).await;
    done(&switching.await.unwrap());
    if what == Stopped::Relay {
        // A stopped monolith tells the gateway of nobody who calls.
        choosers.have_gone_on().await;
        assert!(unsent(&stack.service).await > 0, "the new relay was to wait");
    }
    // There is no condition: what must not come may come at any time.
    tokio::time::sleep(STOPPED_FOR).await;
    assert!(unsent(&stack.monolith).await > 0, "the old relay was to have something left");
    match what {
        Stopped::Relay => hold(&stack.monolith, false).await,
        Stopped::Process => stack.signal("monolith", "CONT"),
    }
    choosers.have_gone_on().await;
    stack.has_sent("notifications").await;

    stack.switch(false).await;
    choosers.have_gone_on().await;
    let last = choosers.end().await;
    stack.has_sent("notifications").await;
    check(&stack.broker.read(TOPIC).await, &last);
}

fn check(published: &[Message], last: &BTreeMap<String, i64>) {
    assert_eq!(went_back(published), Vec::<String>::new());
    for (key, last) in last {
        let versions = published.iter().filter(|message| message.key == *key);
        let versions: Vec<i64> = versions.map(|message| message.version).collect();
        assert_eq!(versions, (1..=*last).collect::<Vec<_>>(), "{key}");
    }
}

async fn go_on(stack: &Stack) {
    stack.signal("controller", "CONT");
    wait_until("the controller goes on", PATIENCE, async || !stack.is_stopped("controller")).await;
}

/// Waits until the controller has come to its next failpoint.
async fn stopped(stack: &Stack) {
    wait_until("the controller stops", PATIENCE, async || stack.is_stopped("controller")).await;
}

async fn hold(pool: &Pool, held: bool) {
    let statement = "UPDATE ficus.relay SET held = $1 WHERE capability = 'notifications'";
    let done = sqlx::query(statement).bind(held).execute(pool).await.unwrap();
    assert_eq!(done.rows_affected(), 1);
}

async fn unsent(pool: &Pool) -> i64 {
    ficus_events::lag(pool, "notifications").await.unwrap().events
}

fn went_back(messages: &[Message]) -> Vec<String> {
    let mut latest: BTreeMap<&str, i64> = BTreeMap::new();
    let mut found = Vec::new();
    for Message { key, version, .. } in messages {
        let before = latest.insert(key, *version).unwrap_or_default();
        if *version < before {
            found.push(format!("{key} at {version} after {before}"));
        }
    }
    found
}
