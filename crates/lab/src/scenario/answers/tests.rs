//! The virtual users notice what an answer lacks.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Instant;

use ficus_load::{Class, Ledger, Reply, Scenario as _};
use http::StatusCode;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

use super::super::step::{Holds, Step, What};
use super::super::{Client, Team, World};

fn world() -> World {
    let clients = (0..4).map(|number| {
        let email = format!("{number}@example.com");
        Client::new(100 + number, email, "token".to_owned(), Some(0), number >= 2)
    });
    let team = Team { projects: vec![7], members: vec![0, 1, 2, 3], tasks: Vec::new() };
    World::new(1, clients.collect(), vec![team], Ledger::in_memory())
}

fn reply(class: Class, body: &Value) -> Reply {
    let now = Instant::now();
    let status = (class == Class::Acknowledged).then_some(StatusCode::OK);
    Reply {
        status,
        class,
        body: body.to_string().into(),
        sent: now,
        ended: now,
        error: String::new(),
    }
}

fn step(what: What) -> Step {
    Step { bearer: None, route: "GET /a", expected: StatusCode::OK, what }
}

fn ok(body: &Value) -> Reply {
    reply(Class::Acknowledged, body)
}

#[test]
fn an_item_that_is_unread_again_is_stale() {
    let mut world = world();
    let inbox = ok(&json!({"notifications": [{"id": 5, "read": false}, {"id": 6, "read": true}]}));
    world.answered(step(What::Inbox { client: 0, marked: vec![6] }), &inbox);
    assert_eq!(world.stale.len(), 0);
    world.answered(step(What::Inbox { client: 0, marked: vec![5] }), &inbox);
    assert_eq!(world.stale, ["inbox item 5 is unread again"]);
}

#[test]
fn an_answer_that_contradicts_what_is_known_is_stale() {
    let mut world = world();
    for status in [StatusCode::OK, StatusCode::UNAUTHORIZED, StatusCode::SERVICE_UNAVAILABLE] {
        let reply = Reply { status: Some(status), ..reply(Class::Refused, &json!({})) };
        world.answered(step(What::Plain), &reply);
    }
    assert!(world.stale.is_empty(), "{:?}", world.stale);
    let gone = Reply { status: Some(StatusCode::NOT_FOUND), ..reply(Class::Refused, &json!({})) };
    world.answered(step(What::Plain), &gone);
    let elsewhere = Step { expected: StatusCode::NOT_FOUND, ..step(What::Plain) };
    world.answered(elsewhere, &ok(&json!({})));
    assert_eq!(
        world.stale,
        ["GET /a answered 404 Not Found, not 200 OK", "GET /a answered 200 OK, not 404 Not Found"]
    );
}

#[test]
fn a_lower_version_is_stale() {
    let mut world = world();
    world.answered(step(What::Task { version: 3 }), &ok(&json!({"version": 3})));
    world.answered(step(What::Preferences { version: 3 }), &ok(&json!({"version": 2})));
    assert_eq!(world.stale, ["preferences at version 2, 3 was acknowledged"]);
}

#[test]
fn a_comment_that_is_not_listed_is_stale() {
    let mut world = world();
    let listed = ok(&json!({"comments": [{"id": 1}]}));
    world.answered(step(What::Comments { known: vec![1, 2] }), &listed);
    assert_eq!(world.stale, ["comment 2 is not listed"]);
}

#[test]
fn an_answer_that_failed_is_not_stale() {
    let mut world = world();
    world.answered(step(What::Task { version: 3 }), &reply(Class::Unknown, &Value::Null));
    assert_eq!(world.stale.len(), 0);
}

#[test]
fn a_write_of_which_nothing_is_known_is_not_followed_by_another() {
    let mut world = world();
    let mut random = StdRng::seed_from_u64(1);
    let mut held = 0;
    while let Some(planned) = world.prefer(&mut random) {
        world.answered(planned.step, &reply(Class::Unknown, &Value::Null));
        held += 1;
        assert!(held <= 2, "two change preferences, and each is held");
    }
    assert_eq!(world.ledger.unknown().len(), held);
}

#[test]
fn an_acknowledged_write_makes_way_for_the_next() {
    let mut world = world();
    let mut random = StdRng::seed_from_u64(1);
    let created = world.create_task(&mut random).unwrap();
    world.answered(created.step, &ok(&json!({"id": 9, "version": 1})));
    assert_eq!((world.tasks[0].id, world.teams[0].tasks.as_slice()), (9, [0].as_slice()));
    for version in 2..5 {
        let changed = world.update_task(&mut random).unwrap();
        assert!(world.update_task(&mut random).is_none(), "one change at a time");
        world.answered(changed.step, &ok(&json!({"id": 9, "version": version})));
        assert_eq!(world.tasks[0].version, version);
    }
    world.release(Holds::Nothing);
    assert_eq!(world.ledger.records().len(), 4);
}

#[test]
fn a_write_of_which_nothing_is_known_is_repeated_until_something_is() {
    let mut world = world();
    let mut random = StdRng::seed_from_u64(1);
    let first = world.prefer(&mut random).unwrap();
    world.answered(first.step, &reply(Class::Unknown, &Value::Null));
    let again = world.unfinished().unwrap();
    assert_eq!(again.request.idempotency_key, first.request.idempotency_key);
    world.answered(again.step, &reply(Class::Unknown, &Value::Null));
    let again = world.unfinished().unwrap();
    world.answered(again.step, &ok(&json!({"version": 1})));
    assert!(world.unfinished().is_none());
    assert_eq!((world.ledger.records().len(), world.ledger.unknown().len()), (2, 0));
    assert!(world.clients.iter().all(|client| !client.preferences_held));
}

#[test]
fn a_repeat_is_expected_to_be_answered_as_the_first_was() {
    let mut world = world();
    let mut random = StdRng::seed_from_u64(1);
    let mut first = world.prefer(&mut random).unwrap();
    first.step.expected = StatusCode::NOT_FOUND;
    world.answered(first.step, &reply(Class::Unknown, &Value::Null));
    let again = world.unfinished().unwrap();
    assert_eq!(again.expected, StatusCode::NOT_FOUND);
    let gone = Reply { status: Some(StatusCode::NOT_FOUND), ..reply(Class::Refused, &json!({})) };
    world.answered(again.step, &gone);
    assert!(world.stale.is_empty(), "{:?}", world.stale);
}

#[test]
fn a_lost_session_is_begun_anew_before_a_write_is_repeated() {
    let mut world = world();
    world.clients[2].token = "lost".to_owned();
    world.sessions.insert("lost".to_owned(), 2);
    world.clients[3].preferences_held = true;
    let mut random = StdRng::seed_from_u64(1);
    let first = world.prefer(&mut random).unwrap();
    world.answered(first.step, &reply(Class::Unknown, &Value::Null));
    let again = world.unfinished().unwrap();
    let mut refused = reply(Class::Refused, &Value::Null);
    refused.status = Some(StatusCode::SERVICE_UNAVAILABLE);
    world.answered(again.step, &refused);
    let again = world.unfinished().unwrap();
    refused.status = Some(StatusCode::UNAUTHORIZED);
    world.answered(again.step, &refused);
    assert_eq!(world.ledger.records().len(), 1, "it settled nothing");

    let sign_in = world.unfinished().unwrap();
    assert_eq!(sign_in.request.path, "/v1/sign-in");
    world.lose_session("lost");
    assert!(world.signed_out.is_empty(), "one sign-in at a time");
    world.answered(sign_in.step, &reply(Class::Unknown, &Value::Null));
    world.lose_session("lost");
    let sign_in = world.unfinished().unwrap();
    assert_eq!(sign_in.request.path, "/v1/sign-in");
    world.answered(sign_in.step, &ok(&json!({"token": "new"})));
    let again = world.unfinished().unwrap();
    assert_eq!(again.request.bearer.as_deref(), Some("new"));
    assert_eq!(world.signed_in_again, 2);
}
