//! After the load: repeats what is unknown, waits until what is under way has arrived, and judges.

use std::collections::HashSet;
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
    let lock = || world.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = Instant::now();
    let judged = || compare(root, stack, world, before, &doubt.crashes);
    let (mut verdict, mut sent) = judged().await?;
    while verdict.lost > 0 && begun.elapsed() < doubt.patience {
        tokio::time::sleep(Duration::from_secs(1)).await;
        (verdict, sent) = judged().await?;
    }
    let found = verdict.lost + verdict.doubled > 0;
    if !found && !doubt.echo.is_zero() {
        tokio::time::sleep(doubt.echo).await;
        (verdict, sent) = judged().await?;
    }
    let published = topics::read(&stack.brokers).await?;
    verdict.out_of_order = published.out_of_order.len();
    for finding in published.out_of_order {
        verdict.note(format!("out of order: {finding}"));
    }
    for finding in published.skipped {
        verdict.lose(&finding);
    }
    for mail in sent.difference(&published.delivered) {
        verdict.lose(&format!("event that mail {mail} was delivered"));
    }
    for finding in published.twice {
        verdict.doubled += 1;
        verdict.note(format!("doubled: {finding}"));
    }
    for finding in facts::relays_stopped(stack).await? {
        verdict.out_of_order += 1;
        verdict.note(format!("out of order: {finding}"));
    }
    verdict.dead_letters = published.dead.len();
    for finding in published.dead {
        verdict.note(format!("dead letter: {finding}"));
    }
    let world = lock();
    verdict.note_stale(&world.stale);
    Ok(verdict)
}

/// A verdict on databases and mails, and the mails that are recorded as sent.
async fn compare(
    root: &Root,
    stack: &Stack,
    world: &Arc<Mutex<World>>,
    before: Before,
    crashes: &[Crash],
) -> Result<(Verdict, HashSet<i64>)> {
    let lock = || world.lock().unwrap_or_else(PoisonError::into_inner);
    let (prefix, marked) = {
        let world = lock();
        (scenario::marker_prefix(world.run), marked(&world))
    };
    let facts = Facts::read(stack, before, &prefix, &marked).await?;
    let mut taken = mails::read(&root.mail_file())?;
    let mails_repeated = mails::excuse(&root.mail_file(), &mut taken, crashes)?;
    let mails = facts.mails.values().flatten();
    let sent = mails.filter(|mail| mail.state == "sent").map(|mail| mail.id).collect();
    Ok((Verdict { mails_repeated, ..judge(&lock().ledger, &facts, &taken) }, sent))
}

fn marked(world: &World) -> Vec<i64> {
    let effects = world.ledger.records().iter().map(|record| &record.effect);
    let marked = effects.filter_map(|effect| match effect {
        Effect::MarkedRead { notification_id } => Some(*notification_id),
        _ => None,
    });
    marked.collect()
}
