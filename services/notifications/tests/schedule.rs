//! A random schedule on the move folder: documents that become rows, mails apart from their deliveries, changed keys,
//! a swap of unique values, deletes. `FICUS_SEED` replays one.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use ficus_mover::Side;
use rand::{Rng, rngs::StdRng, seq::IndexedRandom};
use support::{definition, monolith_database, service_database};
use trellis_testkit::{
    moving::{Moving, run},
    schedule::run_schedule,
};

/// Those whom the monolith's foreign keys ask for, and rows that the copy meets.
const BEFORE: &str = "
    INSERT INTO users (id, email, name, password_hash)
    SELECT id, 'person-' || id, 'person', '' FROM generate_series(1, 5) AS id;
    INSERT INTO workspaces (id, name) VALUES (1, 'one');
    INSERT INTO projects (id, workspace_id, name) VALUES (1, 1, 'one');
    INSERT INTO tasks (id, project_id, title) SELECT id, 1, 'task' FROM generate_series(1, 5) AS id;
    INSERT INTO notifications (user_id, kind, workspace_id)
    SELECT 1 + id % 5, 'welcome', 1 FROM generate_series(1, 3000) AS id;
    INSERT INTO emails (user_id, template, cause)
    SELECT 1 + id % 5, 'mention', 'before-' || id FROM generate_series(1, 200) AS id";

fn person(rng: &mut StdRng) -> u32 {
    rng.random_range(1..=5)
}

fn kind(rng: &mut StdRng) -> &'static str {
    ["welcome", "assignment", "mention"].choose(rng).unwrap()
}

/// A template that is there from the start, or one of four that come and go.
fn template(rng: &mut StdRng) -> String {
    if rng.random_bool(0.7) { kind(rng).to_owned() } else { format!("t{}", rng.random_range(0..4)) }
}

/// A document of preferences with up to three kinds.
fn settings(rng: &mut StdRng) -> String {
    let mut kinds = Vec::new();
    for kind in ["welcome", "assignment", "mention"] {
        let (in_app, email): (bool, bool) = (rng.random(), rng.random());
        if rng.random_bool(0.6) {
            kinds.push(format!(r#""{kind}": {{"in_app": {in_app}, "email": {email}}}"#));
        }
    }
    format!("{{{}}}", kinds.join(", "))
}

fn write(side: Side, rng: &mut StdRng) -> String {
    if rng.random_bool(0.3) {
        return bookkeeping(side, rng);
    }
    match side {
        Side::Monolith => monolith_write(rng),
        Side::Service => service_write(rng),
    }
}

fn monolith_write(rng: &mut StdRng) -> String {
    let (user, other, kind) = (person(rng), person(rng), kind(rng));
    let (n, task): (u32, u32) = (rng.random_range(0..1000), rng.random_range(1..=5));
    match rng.random_range(0..12) {
        0 => format!(
            "INSERT INTO notifications (user_id, kind, workspace_id, actor_id, task_id)
             VALUES ({user}, '{kind}', 1, {other}, {task})"
        ),
        1 => format!(
            "UPDATE notifications SET read_at = now() AT TIME ZONE 'UTC' WHERE user_id = {user} AND id % 97 = {}",
            n % 97
        ),
        2 => format!("DELETE FROM notifications WHERE id % 101 = {}", n % 101),
        3 | 4 => format!(
            "INSERT INTO notification_preferences (user_id, settings) VALUES ({user}, '{}')
             ON CONFLICT (user_id) DO UPDATE
             SET settings = EXCLUDED.settings, version = notification_preferences.version + 1",
            settings(rng)
        ),
        5 => {
            format!("UPDATE notification_preferences SET user_id = {other} WHERE user_id = {user}")
        }
        6 => format!("DELETE FROM notification_preferences WHERE user_id = {user}"),
        7 => format!(
            "INSERT INTO emails (user_id, template, cause, task_id) VALUES ({user}, '{}', 'c{n}', {task})",
            template(rng)
        ),
        8 => format!(
            "UPDATE emails SET state = 'sending', attempts = attempts + 1, version = version + 1,
                    next_attempt_at = next_attempt_at + interval '30 s'
             WHERE state = 'queued' AND id % 7 = {}",
            n % 7
        ),
        9 => format!(
            "UPDATE emails SET (state, sent_at, last_error, version) = ROW (
                    CASE WHEN id % 2 = 0 THEN 'sent' ELSE 'failed' END, now() AT TIME ZONE 'UTC',
                    CASE WHEN id % 2 = 0 THEN '' ELSE 'error {n}' END, version + 1)
             WHERE state = 'sending'"
        ),
        10 => swap("emails", rng),
        _ => format!("DELETE FROM emails WHERE id % 53 = {}", n % 53),
    }
}

fn service_write(rng: &mut StdRng) -> String {
    let (user, other, kind) = (person(rng), person(rng), kind(rng));
    let (n, task): (u32, u32) = (rng.random_range(0..1000), rng.random_range(1..=5));
    let (in_app, email): (bool, bool) = (rng.random(), rng.random());
    match rng.random_range(0..12) {
        0 => format!(
            "INSERT INTO inbox_items (user_id, kind, workspace_id, actor_id, task_id)
             VALUES ({user}, '{kind}', 1, {other}, {task})"
        ),
        1 => format!(
            "UPDATE inbox_items SET read_at = now() WHERE user_id = {user} AND id % 97 = {}",
            n % 97
        ),
        2 => format!("DELETE FROM inbox_items WHERE id % 101 = {}", n % 101),
        3 | 4 => format!(
            "INSERT INTO preference_sets VALUES ({user}, 1)
             ON CONFLICT (user_id) DO UPDATE SET version = preference_sets.version + 1;
             INSERT INTO preferences VALUES ({user}, '{kind}', {in_app}, {email})
             ON CONFLICT (user_id, kind) DO UPDATE SET in_app = EXCLUDED.in_app, email = EXCLUDED.email"
        ),
        5 => format!("DELETE FROM preferences WHERE user_id = {user} AND kind = '{kind}'"),
        6 => format!(
            "DELETE FROM preferences WHERE user_id = {user}; DELETE FROM preference_sets WHERE user_id = {user}"
        ),
        7 => format!(
            "WITH mail AS (INSERT INTO mails (user_id, template, cause, task_id)
                           VALUES ({user}, '{}', 'c{n}', {task}) RETURNING id)
             INSERT INTO deliveries (mail_id) SELECT id FROM mail",
            template(rng)
        ),
        8 => format!(
            "UPDATE deliveries SET state = 'sending', attempts = attempts + 1, version = version + 1,
                    next_attempt_at = next_attempt_at + interval '30 s'
             WHERE state = 'queued' AND mail_id % 7 = {}",
            n % 7
        ),
        9 => format!(
            "UPDATE deliveries
             SET state = CASE WHEN mail_id % 2 = 0 THEN 'sent' ELSE 'failed' END::delivery_state, sent_at = now(),
                 last_error = CASE WHEN mail_id % 2 = 1 THEN 'error {n}' END, version = version + 1
             WHERE state = 'sending'"
        ),
        10 => swap("mails", rng),
        _ => format!(
            "DELETE FROM deliveries WHERE mail_id % 53 = {0}; DELETE FROM mails WHERE id % 53 = {0}",
            n % 53
        ),
    }
}

/// The tables that are alike on both sides but for their names.
fn bookkeeping(side: Side, rng: &mut StdRng) -> String {
    let [templates, idempotency, inbox, parked] = match side {
        Side::Monolith => [
            "email_templates",
            "notifications_idempotency",
            "notifications_inbox",
            "notifications_parked",
        ],
        Side::Service => ["templates", "idempotency", "inbox_events", "parked_keys"],
    };
    let (n, m): (u32, u32) = (rng.random_range(0..20), rng.random_range(0..4));
    let event: u64 = rng.random();
    match rng.random_range(0..7) {
        0 => format!(
            "INSERT INTO {templates} VALUES ('t{m}', 'subject {n}', E'it''s\\n{{name}}')
             ON CONFLICT (name) DO UPDATE SET subject = EXCLUDED.subject"
        ),
        1 => format!("UPDATE {templates} SET name = 't{}' WHERE name = 't{m}'", n % 4),
        2 => format!("DELETE FROM {templates} WHERE name = 't{m}'"),
        3 => format!(
            "INSERT INTO {idempotency} (scope, key, request_hash, answer)
             VALUES ('user-{m}', 'k{n}', '\\x00ff', '\\x7b{n:02}7d') ON CONFLICT DO NOTHING"
        ),
        4 => format!("DELETE FROM {idempotency} WHERE scope = 'user-{m}'"),
        5 => format!("INSERT INTO {inbox} (event_id) VALUES (md5('{event}')::uuid)"),
        _ => format!(
            "DELETE FROM {parked} WHERE key = 'task-{m}';
             INSERT INTO {parked} (topic, key, event_id, reason)
             VALUES ('trellis.core.v1', 'task-{}', md5('{event}')::uuid, 'reason {n}') ON CONFLICT DO NOTHING",
            n % 4
        ),
    }
}

/// Two mails of a person and a template change their causes, which are unique.
fn swap(mails: &str, rng: &mut StdRng) -> String {
    let any: u32 = rng.random();
    format!(
        "CREATE TEMP TABLE IF NOT EXISTS pair (one bigint, ones text, other bigint, others text);
         TRUNCATE pair;
         INSERT INTO pair SELECT a.id, a.cause, b.id, b.cause FROM {mails} AS a JOIN {mails} AS b
             ON a.user_id = b.user_id AND a.template = b.template AND a.id < b.id
             ORDER BY md5('{any}' || a.id || ' ' || b.id) LIMIT 1;
         UPDATE {mails} SET cause = 'aside' FROM pair WHERE id = one;
         UPDATE {mails} SET cause = ones FROM pair WHERE id = other;
         UPDATE {mails} SET cause = others FROM pair WHERE id = one"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_single_page_round_one_side_is_the_projection_of_the_other() {
    let (monolith, service) = (monolith_database().await, service_database().await);
    let urls = [monolith.url().to_owned(), service.url().to_owned()];
    let mut moving = Moving::new("notifications", definition(), urls);
    let mut before = moving.connect(Side::Monolith).await;
    run(&mut before, BEFORE).await.unwrap();
    run_schedule(&mut moving, write).await;
}
