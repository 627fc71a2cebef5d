//! Status: the facts of each move, what its stream does, who picks its owner, and the journal.

use ficus_control_api::control::v1 as wire;

use super::wire::timestamp;
use crate::{
    domain::{Diff, Entry, Facts, Phase},
    leader::{Leader, Refused},
    store::Picker,
};

const JOURNAL: u32 = 20;

pub(super) async fn moves(
    leader: &Leader,
    capability: &str,
    journal: u32,
) -> Result<Vec<wire::Move>, Refused> {
    leader.leads()?;
    let journal = if journal == 0 { JOURNAL } else { journal };
    let all = leader.store.moves().await?;
    if !capability.is_empty() && !all.iter().any(|facts| facts.capability == capability) {
        leader.knows(capability)?;
        return Err(crate::Error::NoMove(capability.to_owned()).into());
    }
    let mut moves = Vec::new();
    for facts in all {
        if capability.is_empty() || facts.capability == capability {
            moves.push(told(leader, facts, journal).await?);
        }
    }
    Ok(moves)
}

async fn told(leader: &Leader, facts: Facts, journal: u32) -> Result<wire::Move, Refused> {
    let progress = leader.progress(&facts.capability).unwrap_or_default();
    let pickers = leader.store.pickers(&facts.capability).await?;
    let journal = leader.store.journal(&facts.capability, journal).await?;
    let trouble =
        if facts.stream_error.is_empty() { progress.trouble } else { facts.stream_error.clone() };
    Ok(wire::Move {
        owner: facts.owner.to_string(),
        epoch: facts.epoch,
        phase: Phase::of(&facts).map_or("contradictory", Phase::as_str).to_owned(),
        stream: facts.stream.as_str().to_owned(),
        direction: facts.direction.map(|way| way.to_string()).unwrap_or_default(),
        stream_error: trouble,
        lag_ms: progress.lag.as_secs_f64() * 1_000.0,
        rows_copied: progress.rows_copied,
        rows_total: progress.rows_total,
        eta_seconds: progress.eta.as_secs_f64(),
        diff: facts.diff.map(diff),
        attempt: facts.attempt,
        step: facts.switch.map(|(step, _)| step.as_str().to_owned()).unwrap_or_default(),
        retired: facts.retired,
        pickers: pickers.into_iter().map(picker).collect(),
        journal: journal.into_iter().map(entry).collect(),
        leader: leader.address(),
        capability: facts.capability,
    })
}

fn diff(diff: Diff) -> wire::Diff {
    wire::Diff {
        at: Some(timestamp(diff.at)),
        clean: diff.clean,
        rows_compared: diff.rows,
        rows_differing: diff.differing,
    }
}

fn picker(picker: Picker) -> wire::Picker {
    wire::Picker {
        name: picker.name,
        role: picker.role,
        epoch: picker.epoch,
        heard_seconds_ago: picker.heard_seconds_ago,
    }
}

fn entry(entry: Entry) -> wire::JournalEntry {
    wire::JournalEntry {
        id: entry.id,
        at: Some(timestamp(entry.at)),
        attempt: entry.attempt,
        epoch: entry.epoch,
        step: entry.step,
        text: entry.text,
        by: entry.by,
    }
}
