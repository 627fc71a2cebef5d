//! At a takeover: both databases are made to agree with the control row, which alone says whether C6
//! happened. The attempt is raised in the control database already.

use std::time::Duration;

use ficus_mover::{FenceState, Mover, Side};
use ficus_process::fault;

use super::open::{LEASES_END, end};
use crate::{domain::Step, error::Result, hand::InHand};

/// A side that has to be shut at a takeover is shut already, unless somebody interfered; its locks are
/// tried for this often.
const FENCE_TRIES: u32 = 10;
/// For an answer that it is as well to have.
const ANSWER: Duration = Duration::from_secs(3);

/// Ends what older attempts have open, on the owner's database first, and rolls a switch that was under
/// way forward or back. The owner is opened before the other side has to agree to anything, and must not refuse writes because
/// that is away: what is asked there before is not waited for longer than a moment. On the way back no C6 of an older attempt can happen any more; on the way forward the other side was
/// shut before C6, and no older attempt opens it: who aborts has not come to C6.
///
/// `undecided`: the attempt before was this process's, had agreed too, and did not ask for C6.
pub(crate) async fn agree(in_hand: &mut InHand, undecided: bool) -> Result<()> {
    let (owner, attempt) = (in_hand.facts.owner, in_hand.hand.attempt);
    raise(in_hand, owner).await?;
    if in_hand.facts.retired {
        return raise(in_hand, owner.other()).await;
    }
    let forward = in_hand.facts.rolls_forward();
    if forward {
        open(in_hand).await?;
    } else if !fault::planted("heal-off")
        && in_hand.mover.fence_state(owner).await? != FenceState::Open
    {
        if !undecided {
            not_over(in_hand).await?;
        }
        in_hand.mover.unfence(owner, attempt).await?;
    }
    raise(in_hand, owner.other()).await?;
    shut(&in_hand.mover, owner.other(), attempt).await?;
    // Only the owner's relay may be held, until the one before has sent everything. An abort that did not reach the
    // other side has left it held, and then nothing would ever be confirmed.
    in_hand.mover.hold_relay(owner.other(), attempt, false).await?;
    if forward {
        rolled_forward(in_hand).await?;
    } else if in_hand.facts.switch.is_some() {
        in_hand.hand.abort_switch("the switch that was under way is rolled back").await?;
    }
    if in_hand.facts.has_switched() {
        // Later than the snapshot after C1, so it says at least as much.
        in_hand.handover = Some(in_hand.mover.snapshot(owner.other()).await?);
    }
    Ok(())
}

/// An owner that is shut was so by a switch. If that went further than the control row knows, which is older then, as after
/// a failover that lost C6, the other side is open, and knows of the later epoch. Who does not answer is not waited for.
async fn not_over(in_hand: &InHand) -> Result<()> {
    let (other, epoch) = (in_hand.facts.owner.other(), in_hand.facts.epoch);
    match tokio::time::timeout(ANSWER, in_hand.mover.token(other)).await {
        Ok(Ok(Some(token))) if token.epoch > epoch => {
            let capability = in_hand.facts.capability.clone();
            Err(ficus_mover::Error::PastEpoch { capability, side: other }.into())
        }
        _ => Ok(()),
    }
}

/// Ends what older attempts have open on both sides; nobody owns less by it.
pub(crate) async fn take_over(in_hand: &InHand) -> Result<()> {
    for side in [in_hand.facts.owner, in_hand.facts.owner.other()] {
        raise(in_hand, side).await?;
    }
    Ok(())
}

/// Of a move that is only written down nothing is installed: what a preparation has left that was cut off is taken
/// away, and one that was stopped in the midst can do nothing any more. Where a database does not answer, or has never been
/// migrated, the next preparation says so.
pub(crate) async fn take_back_preparation(in_hand: &InHand) -> Result<()> {
    if let Err(error) = take_over(in_hand).await {
        tracing::warn!(%error, "failed to end what a preparation may have under way");
        return Ok(());
    }
    let mut installed = Vec::new();
    for side in [Side::Monolith, Side::Service] {
        match in_hand.mover.installed(side, in_hand.facts.has_switched()).await {
            Ok(found) => installed.extend(found),
            Err(error) => {
                tracing::warn!(%error, "failed to look for what a preparation has left");
                return Ok(());
            }
        }
    }
    if installed.is_empty() {
        return Ok(());
    }
    in_hand.mover.uninstall(in_hand.hand.attempt, in_hand.facts.has_switched()).await?;
    in_hand.hand.note("cleared", "a preparation that was cut off is taken back").await
}

async fn raise(in_hand: &InHand, side: Side) -> Result<()> {
    let (attempt, epoch) = (in_hand.hand.attempt, in_hand.facts.epoch);
    // First the sessions: one with a prepared opening holds the token row.
    in_hand.mover.end_sessions(side, attempt).await?;
    Ok(in_hand.mover.raise_token(side, attempt, epoch).await?)
}

async fn shut(mover: &Mover, side: Side, attempt: i64) -> Result<()> {
    let mut tries = 0;
    while mover.fence_state(side).await? != FenceState::Shut {
        tries += 1;
        match mover.fence(side, attempt).await {
            Err(ficus_mover::Error::LockTimeout { .. }) if tries < FENCE_TRIES => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            fenced => fenced?,
        }
    }
    Ok(())
}

/// C7 of a switch that was decided.
async fn open(in_hand: &InHand) -> Result<()> {
    let owner = in_hand.facts.owner;
    if in_hand.mover.fence_state(owner).await? != FenceState::Open {
        let (direction, attempt) = (owner.other().outward(), in_hand.hand.attempt);
        let (mover, epoch) = (&in_hand.mover, in_hand.facts.epoch);
        tokio::join!(tokio::time::sleep(LEASES_END), end(mover, owner.other(), attempt, epoch));
        let opening = in_hand.mover.prepare_opening(direction, attempt, in_hand.facts.epoch);
        opening.await?.commit().await?;
    }
    Ok(())
}

/// C8 and C9.
async fn rolled_forward(in_hand: &mut InHand) -> Result<()> {
    let owner = in_hand.facts.owner;
    let direction = owner.other().outward();
    let text = format!("writes are open at the {owner}; rolled forward at a takeover");
    in_hand.hand.passed(Step::C7, &text).await?;
    let text = format!("rolled forward at a takeover; changes flow back, {}", direction.opposite());
    in_hand.hand.finish_switch(direction.opposite(), &text).await?;
    Ok(())
}
