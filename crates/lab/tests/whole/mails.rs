//! Mails while notifications change their owner and come back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinHandle;
use trellis_lab::judge::mails;
use trellis_testkit::wait_until;

use crate::people::{People, Person};
use crate::stack::{PATIENCE, Stack};

/// So long the mail server takes for a mail: whenever a switch comes some are on their way.
const EACH: u64 = 250;

/// User, template and cause: what makes a mail one.
type Cause = (i64, String, String);

/// People who cause mails, and the mails that they were promised.
struct Causers {
    tasks: Vec<JoinHandle<Vec<Cause>>>,
    ended: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
}

impl Causers {
    async fn start(people: &People) -> Self {
        let (ended, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = Vec::new();
        for _ in 0..3 {
            let (ada, bob) = (people.new_person().await, people.new_person().await);
            ada.invites(&bob).await;
            let task = ada.task().await;
            let comments = comment(ada, bob, task, Arc::clone(&ended), Arc::clone(&count));
            tasks.push(tokio::spawn(comments));
        }
        let sign_ups = sign_up(people.clone(), Arc::clone(&ended), Arc::clone(&count));
        tasks.push(tokio::spawn(sign_ups));
        Self { tasks, ended, count }
    }

    async fn have_gone_on(&self) {
        let before = self.count.load(Ordering::Relaxed);
        wait_until("mails are caused", PATIENCE, async || {
            self.count.load(Ordering::Relaxed) >= before + 30
        })
        .await;
    }

    async fn end(self) -> BTreeSet<Cause> {
        self.ended.store(true, Ordering::Relaxed);
        let mut all = BTreeSet::new();
        for task in self.tasks {
            all.extend(task.await.unwrap());
        }
        all
    }
}

async fn comment(
    ada: Person,
    bob: Person,
    task: i64,
    ended: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
) -> Vec<Cause> {
    let mut promised = vec![welcome(&ada), welcome(&bob)];
    while !ended.load(Ordering::Relaxed) {
        let comment = ada.mentions(&bob, task).await;
        promised.push((bob.id, "mention".to_owned(), format!("comment-{comment}")));
        count.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    promised
}

async fn sign_up(people: People, ended: Arc<AtomicBool>, count: Arc<AtomicUsize>) -> Vec<Cause> {
    let mut promised = Vec::new();
    while !ended.load(Ordering::Relaxed) {
        promised.push(welcome(&people.new_person().await));
        count.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    promised
}

fn welcome(person: &Person) -> Cause {
    (person.id, "welcome".to_owned(), "sign-up".to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn planned_switches_send_no_mail_twice_and_forget_none() {
    let stack = Stack::start().await;
    slow_down(&stack).await;
    let people = People::of(&stack);
    let causers = Causers::start(&people).await;
    stack.copied().await;
    for forward in [true, false, true] {
        causers.have_gone_on().await;
        stack.switch(forward).await;
    }
    causers.have_gone_on().await;
    let promised = causers.end().await;

    let mails = wait_for_mails(&stack, promised.len()).await;
    let known: BTreeSet<Cause> = mails.iter().map(|(_, cause)| cause.clone()).collect();
    assert_eq!(known, promised);
    let taken = mails::read(&stack.mail_file()).unwrap();
    let twice: Vec<_> = taken.iter().filter(|(_, times)| **times != 1).collect();
    assert!(twice.is_empty(), "taken twice: {twice:?}");
    let sent: BTreeSet<_> = mails.iter().map(|(id, _)| mails::message_id(*id)).collect();
    assert_eq!(taken.into_keys().collect::<BTreeSet<_>>(), sent);
}

async fn slow_down(stack: &Stack) {
    let client = ficus_load::Client::new(&stack.sandbox(), PATIENCE);
    let request = ficus_load::Request {
        route: "",
        method: http::Method::POST,
        path: "/smtp/delay".to_owned(),
        bearer: None,
        idempotency_key: None,
        body: json!({"milliseconds": EACH}).to_string().into(),
    };
    assert_eq!(client.send(&request).await.status, Some(http::StatusCode::NO_CONTENT));
}

/// Waits until there are so many mails at the service and each was sent; a claim whose record was lost
/// runs out after 4 s and is sent again, so nothing is left that could still be doubled.
async fn wait_for_mails(stack: &Stack, count: usize) -> Vec<(i64, Cause)> {
    let statement = "SELECT m.id, m.user_id, m.template, m.cause, d.state::text
                     FROM mails m JOIN deliveries d ON d.mail_id = m.id";
    let mut mails: Vec<(i64, i64, String, String, String)> = Vec::new();
    wait_until(&format!("{count} mails are sent"), PATIENCE, async || {
        mails = sqlx::query_as(statement).fetch_all(&stack.service).await.unwrap();
        mails.len() >= count && mails.iter().all(|mail| mail.4 == "sent")
    })
    .await;
    mails.into_iter().map(|(id, user, template, cause, _)| (id, (user, template, cause))).collect()
}
