//! After the load: repeats what is unknown, waits until what is under way has arrived, and judges.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use ficus_load::{Class, Client, Scenario as _};

use super::facts::Before;
use super::mails::Crash;
use super::{Facts, Verdict, judge, mails, topics};
use crate::scenario::{self, Effect, World};
use crate::stack::{Root, Stack};

/// How long mails and events may be under way after the last request.
const PATIENCE: Duration = Duration::from_mins(1);
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

/// Judges again and again until nothing is missing any more, or it has waited long enough; `crashes` may explain
/// that a mail was sent twice.
pub async fn verdict(
    root: &Root,
    stack: &Stack,
    world: &Arc<Mutex<World>>,
    before: Before,
    crashes: &[Crash],
) -> Result<Verdict> {
    let lock = || world.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = Instant::now();
    let mut verdict = loop {
        let verdict = compare(root, stack, world, before, crashes).await?;
        if verdict.lost == 0 || begun.elapsed() > PATIENCE {
            break verdict;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    let published = topics::read(&stack.brokers).await?;
    verdict.out_of_order = published.out_of_order.len();
    for finding in published.out_of_order {
        verdict.note(format!("out of order: {finding}"));
    }
    verdict.lost += published.skipped.len();
    for finding in published.skipped {
        verdict.note(format!("lost: {finding}"));
    }
    verdict.dead_letters = published.dead.len();
    for finding in published.dead {
        verdict.note(format!("dead letter: {finding}"));
    }
    let world = lock();
    verdict.stale = world.stale.len();
    for finding in &world.stale {
        verdict.note(format!("stale: {finding}"));
    }
    Ok(verdict)
}

async fn compare(
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
    Ok(Verdict { mails_repeated, ..judge(&lock().ledger, &facts, &taken) })
}

fn marked(world: &World) -> Vec<i64> {
    let effects = world.ledger.records().iter().map(|record| &record.effect);
    let marked = effects.filter_map(|effect| match effect {
        Effect::MarkedRead { notification_id } => Some(*notification_id),
        _ => None,
    });
    marked.collect()
}
