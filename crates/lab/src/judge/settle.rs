//! After the load: repeats what is unknown, waits until what is under way has arrived, and judges.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use ficus_load::{Class, Client, Scenario as _};

use super::facts::{self, Before};
use super::mails::Crash;
use super::{Facts, Verdict, judge, mails, topics};
use crate::scenario::{self, Effect, World};
use crate::stack::{Root, Stack};

/// What a judge grants before anything counts as lost or doubled.
#[derive(Debug)]
pub struct Doubt {
    /// How long mails and events may be under way after the last request.
    pub patience: Duration,
    /// How long after that something may still be done twice.
    pub echo: Duration,
    /// What may explain that a mail was sent twice.
    pub crashes: Vec<Crash>,
}

impl Default for Doubt {
    fn default() -> Self {
        Self { patience: Duration::from_mins(1), echo: Duration::ZERO, crashes: Vec::new() }
    }
}

/// How long unknown writes are repeated.
const CONVERGENCE: Duration = Duration::from_mins(1);

/// Sends every unknown write again with its own idempotency key until something is known of each, or it has
/// waited long enough.
pub async fn converge(world: &Arc<Mutex<World>>, client: &Client) -> std::io::Result<()> {
    let lock = || world.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = Instant::now();
    while begun.elapsed() < CONVERGENCE {
        let Some(planned) = lock().unfinished() else { break };
        let reply = client.send(&planned.request).await;
        lock().answered(planned.step, &reply);
        if reply.class != Class::Acknowledged {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    lock().ledger.flush()
}

/// Judges again and again until nothing is missing any more, or it has waited long enough.
pub async fn verdict(
    root: &Root,
    stack: &Stack,
    world: &Arc<Mutex<World>>,
    before: Before,
    doubt: &Doubt,
) -> Result<Verdict> {
    let begun = Instant::now();
    let judged = || look(root, stack, world, before, &doubt.crashes);
    let mut verdict = judged().await?;
    while verdict.lost > 0 && begun.elapsed() < doubt.patience {
        tokio::time::sleep(Duration::from_secs(1)).await;
        verdict = judged().await?;
    }
    if verdict.found() == 0 && !doubt.echo.is_zero() {
        tokio::time::sleep(doubt.echo).await;
        verdict = judged().await?;
    }
    Ok(verdict)
}

/// A verdict on databases, mails and topics, as they are now.
async fn look(
    root: &Root,
    stack: &Stack,
    world: &Arc<Mutex<World>>,
    before: Before,
    crashes: &[Crash],
) -> Result<Verdict> {
    let lock = || world.lock().unwrap_or_else(PoisonError::into_inner);
    let (prefix, marked) = {
        let world = lock();
        (scenario::marker_prefix(world.run), marked(&world))
    };
    let facts = Facts::read(stack, before, &prefix, &marked).await?;
    let mut taken = mails::read(&root.mail_file())?;
    let mails_repeated = mails::excuse(&root.mail_file(), &mut taken, crashes)?;
    let published = topics::read(&stack.brokers).await?;
    let stopped = facts::relays_stopped(stack).await?;
    let world = lock();
    let mut verdict = Verdict { mails_repeated, ..judge(&world.ledger, &facts, &taken) };
    let mails = facts.mails.values().flatten().filter(|mail| mail.state == "sent");
    for mail in mails.filter(|mail| !published.delivered.contains(&mail.id)) {
        verdict.lose(&format!("event that mail {} was delivered", mail.id));
    }
    for finding in published.skipped(&chosen(&world, &facts)) {
        verdict.lose(&finding);
    }
    for finding in published.twice {
        verdict.double(&finding);
    }
    verdict.out_of_order = published.out_of_order.len() + stopped.len();
    for finding in published.out_of_order.iter().chain(&stopped) {
        verdict.note(format!("out of order: {finding}"));
    }
    verdict.dead_letters = published.dead.len();
    for finding in published.dead {
        verdict.note(format!("dead letter: {finding}"));
    }
    verdict.note_stale(&world.stale);
    Ok(verdict)
}

/// The version of the preferences of everybody who has changed them in this run.
fn chosen(world: &World, facts: &Facts) -> HashMap<i64, i64> {
    let effects = world.ledger.records().iter().map(|record| &record.effect);
    let users = effects.filter_map(|effect| match effect {
        Effect::Preferred { user_id, .. } => Some(*user_id),
        _ => None,
    });
    users.filter_map(|user| Some((user, facts.preferences.get(&user)?.version))).collect()
}

fn marked(world: &World) -> Vec<i64> {
    let effects = world.ledger.records().iter().map(|record| &record.effect);
    let marked = effects.filter_map(|effect| match effect {
        Effect::MarkedRead { notification_id } => Some(*notification_id),
        _ => None,
    });
    marked.collect()
}
