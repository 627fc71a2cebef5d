//! The judge finds what was planted.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Instant;

use bytes::Bytes;
use ficus_load::{Class, Ledger, Reply, Request};
use http::{Method, StatusCode};

use super::judge;
use crate::judge::facts::{Mail, Preference, Task};
use crate::judge::mails::{Taken, message_id};
use crate::judge::{Facts, Verdict};
use crate::scenario::Effect;

/// One write of each kind, all of them done.
struct Run {
    ledger: Ledger<Effect>,
    facts: Facts,
    taken: Taken,
}

impl Run {
    fn new() -> Self {
        let mut run = Self { ledger: Ledger::in_memory(), facts: facts(), taken: Taken::new() };
        run.taken = [1, 2, 3].map(|mail| (message_id(mail), 1)).into();
        run.wrote("t-1.", Effect::SignUp { email: "t-1.new@x".to_owned(), user_id: Some(10) });
        let title = "t-2. Visit".to_owned();
        run.wrote("t-2.", Effect::TaskCreated { task_id: Some(20), title, told: Some(11) });
        run.wrote(
            "t-3.",
            Effect::Commented { task_id: 20, comment_id: Some(30), mentioned: vec![12] },
        );
        let title = "t-2. Visit, again".to_owned();
        run.wrote("t-4.", Effect::TaskUpdated { task_id: 20, title, state: "TASK_STATE_DONE" });
        run.wrote("t-5.", Effect::MarkedRead { notification_id: 1 });
        run.wrote("t-6.", preferred(true));
        run.wrote("t-7.", preferred(false));
        run
    }

    fn wrote(&mut self, marker: &str, effect: Effect) {
        self.ledger.append(
            "a write",
            marker.to_owned(),
            effect,
            request(),
            &reply(Class::Acknowledged),
        );
    }

    fn verdict(&self) -> Verdict {
        judge(&self.ledger, &self.facts, &self.taken)
    }

    /// Lost and doubled.
    fn found(&self) -> (usize, usize) {
        let verdict = self.verdict();
        (verdict.lost, verdict.doubled)
    }
}

fn facts() -> Facts {
    let mut facts = Facts::default();
    facts.users.insert("t-1.new@x".to_owned(), vec![10]);
    let title = "t-2. Visit, again".to_owned();
    let task = Task { id: 20, title, state: "done".to_owned(), version: 3 };
    facts.tasks.insert("t-2.".to_owned(), vec![task]);
    facts.comments.insert("t-3.".to_owned(), vec![30]);
    facts.items.insert((10, "welcome".to_owned(), 0, 0), vec![1]);
    facts.items.insert((11, "assignment".to_owned(), 20, 0), vec![2]);
    facts.items.insert((12, "mention".to_owned(), 20, 30), vec![3]);
    facts.read.insert(1);
    for (id, user, template, cause) in [
        (1, 10, "welcome", "sign-up"),
        (2, 11, "assignment", "task-20-v1"),
        (3, 12, "mention", "comment-30"),
    ] {
        let about = (user, template.to_owned(), cause.to_owned());
        facts.mails.insert(about, vec![Mail { id, state: "sent".to_owned() }]);
    }
    facts.preferences.insert(13, Preference { version: 2, in_app: false, email: true });
    facts
}

fn preferred(in_app: bool) -> Effect {
    Effect::Preferred { user_id: 13, in_app, email: true, version: Some(1) }
}

fn request() -> Request {
    Request {
        route: "POST /",
        method: Method::POST,
        path: "/".to_owned(),
        bearer: None,
        idempotency_key: None,
        body: Bytes::new(),
    }
}

fn reply(class: Class) -> Reply {
    let now = Instant::now();
    let status = (class == Class::Acknowledged).then_some(StatusCode::OK);
    Reply { status, class, body: Bytes::new(), sent: now, ended: now, error: String::new() }
}

#[test]
fn nothing_is_found_where_nothing_is_wrong() {
    let verdict = Run::new().verdict();
    assert_eq!((verdict.acknowledged, verdict.findings), (7, Vec::<String>::new()));
}

type Plant = (&'static str, fn(&mut Run), (usize, usize));

#[test]
fn each_fault_is_found() {
    let faults: [Plant; 15] = [
        ("no user", |run| run.facts.users.clear(), (1, 0)),
        ("no task", |run| run.facts.tasks.clear(), (1, 0)),
        ("two comments", |run| run.facts.comments.get_mut("t-3.").unwrap().push(31), (0, 1)),
        ("no welcome", |run| forget(run, "welcome"), (1, 0)),
        ("two mentions", |run| again(run, "mention"), (0, 1)),
        ("a mention of nobody", |run| invent(run), (0, 1)),
        ("no mail row", |run| run.facts.mails.retain(|about, _| about.1 != "mention"), (1, 1)),
        ("a mail not taken", |run| _ = run.taken.remove(&message_id(2)), (1, 0)),
        ("a mail taken twice", |run| *run.taken.get_mut(&message_id(2)).unwrap() = 2, (0, 1)),
        ("a mail never recorded", |run| unsent(run), (1, 0)),
        ("an unknown mail", |run| _ = run.taken.insert(message_id(99), 1), (0, 1)),
        ("an item unread", |run| run.facts.read.clear(), (1, 0)),
        ("a change lost", |run| task(run).version = 2, (1, 0)),
        ("a change twice", |run| task(run).version = 4, (0, 1)),
        ("an older value", |run| run.facts.preferences.get_mut(&13).unwrap().in_app = true, (1, 0)),
    ];
    for (name, plant, found) in faults {
        let mut run = Run::new();
        plant(&mut run);
        assert_eq!(run.found(), found, "{name}: {:?}", run.verdict().findings);
    }
}

fn forget(run: &mut Run, kind: &str) {
    run.facts.items.retain(|about, _| about.1 != kind);
}

fn again(run: &mut Run, kind: &str) {
    run.facts
        .items
        .iter_mut()
        .filter(|(about, _)| about.1 == kind)
        .for_each(|(_, ids)| ids.push(9));
}

fn invent(run: &mut Run) {
    run.facts.items.insert((14, "mention".to_owned(), 20, 30), vec![9]);
}

fn unsent(run: &mut Run) {
    run.facts.mails.values_mut().flatten().for_each(|mail| {
        if mail.id == 2 {
            "sending".clone_into(&mut mail.state);
        }
    });
}

fn task(run: &mut Run) -> &mut Task {
    &mut run.facts.tasks.get_mut("t-2.").unwrap()[0]
}

#[test]
fn what_was_refused_must_not_be_there() {
    let mut run = Run::new();
    run.facts.comments.insert("t-8.".to_owned(), vec![31]);
    let effect = Effect::Commented { task_id: 20, comment_id: None, mentioned: Vec::new() };
    run.ledger.append("comment", "t-8.".to_owned(), effect, request(), &reply(Class::Refused));
    assert_eq!(run.found(), (0, 1));
}

#[test]
fn what_belongs_to_notifications_and_was_refused_must_not_be_done() {
    let mut run = Run::new();
    let refused = reply(Class::Refused);
    let mark = |run: &mut Run, notification_id| {
        let effect = Effect::MarkedRead { notification_id };
        run.ledger.append("mark", "t-8.".to_owned(), effect, request(), &refused);
    };
    // Marked by another write.
    mark(&mut run, 1);
    mark(&mut run, 2);
    let effect = Effect::Preferred { user_id: 14, in_app: true, email: true, version: None };
    run.ledger.append("choose", "t-9.".to_owned(), effect, request(), &refused);
    assert_eq!(run.found(), (0, 0));
    run.facts.read.insert(2);
    run.facts.preferences.insert(14, Preference { version: 1, in_app: true, email: true });
    assert_eq!(run.found(), (0, 2), "{:?}", run.verdict().findings);
}

#[test]
fn a_write_of_which_nothing_is_known_may_be_done_once() {
    for (version, found) in [(2, (0, 0)), (3, (0, 0)), (4, (0, 1)), (1, (1, 0))] {
        let mut run = Run::new();
        let unknown = reply(Class::Unknown);
        run.ledger.append("choose", "t-8.".to_owned(), preferred(true), request(), &unknown);
        // Whether the last value is the one before is not known either.
        run.facts.preferences.insert(13, Preference { version, in_app: true, email: true });
        assert_eq!(run.found(), found, "{:?}", run.verdict().findings);
    }
}

#[test]
fn an_unknown_write_counts_by_its_repeat() {
    let mut run = Run::new();
    let effect = |id| Effect::Commented { task_id: 20, comment_id: id, mentioned: Vec::new() };
    let unknown = reply(Class::Unknown);
    let number = run.ledger.append("comment", "t-8.".to_owned(), effect(None), request(), &unknown);
    assert!(!run.verdict().clean(), "nothing is known of it");
    run.ledger.append_repeat(number, effect(Some(31)), &reply(Class::Acknowledged));
    // The comment itself, and its change of the task.
    assert_eq!(run.found(), (2, 0));
    run.facts.comments.insert("t-8.".to_owned(), vec![31]);
    task(&mut run).version = 4;
    assert!(run.verdict().clean(), "{:?}", run.verdict());
}
