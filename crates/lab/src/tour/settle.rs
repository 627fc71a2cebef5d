//! After the load: repeats what is unknown, waits until what is under way has arrived, and judges.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;
use ficus_load::{Class, Client};

use super::scenario::{self, Effect, World};
use crate::judge::facts::Before;
use crate::judge::{Facts, Verdict, judge, mails, topics};
use crate::stack::{Root, Stack};

/// How long mails and events may be under way after the last request.
const PATIENCE: Duration = Duration::from_secs(30);
const REPEATS: usize = 5;

/// Sends every unknown write again with its own idempotency key until something is known.
pub async fn converge(world: &Arc<Mutex<World>>, client: &Client) -> std::io::Result<()> {
    let lock = || world.lock().unwrap_or_else(PoisonError::into_inner);
    let unknown = lock().ledger.unknown();
    for number in unknown {
        let (request, effect) = {
            let world = lock();
            let record = &world.ledger.records()[number];
            (record.request.clone(), record.effect.clone())
        };
        let mut reply = client.send(&request).await;
        for _ in 1..REPEATS {
            if reply.class != Class::Unknown {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
            reply = client.send(&request).await;
        }
        let effect = effect.completed(&reply);
        lock().ledger.append_repeat(number, effect, &reply);
    }
    lock().ledger.flush()
}

/// Judges again and again until nothing is missing any more, or it has waited long enough.
pub async fn verdict(
    root: &Root,
    stack: &Stack,
    world: &Arc<Mutex<World>>,
    before: Before,
) -> Result<Verdict> {
    let lock = || world.lock().unwrap_or_else(PoisonError::into_inner);
    let begun = Instant::now();
    let mut verdict = loop {
        let verdict = compare(root, stack, world, before).await?;
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
) -> Result<Verdict> {
    let lock = || world.lock().unwrap_or_else(PoisonError::into_inner);
    let (prefix, marked) = {
        let world = lock();
        (scenario::marker_prefix(world.run), marked(&world))
    };
    let facts = Facts::read(stack, before, &prefix, &marked).await?;
    let taken: HashMap<String, usize> = mails::read(&root.mail_file())?;
    Ok(judge(&lock().ledger, &facts, &taken))
}

fn marked(world: &World) -> Vec<i64> {
    let effects = world.ledger.records().iter().map(|record| &record.effect);
    let marked = effects.filter_map(|effect| match effect {
        Effect::MarkedRead { notification_id } => Some(*notification_id),
        _ => None,
    });
    marked.collect()
}
