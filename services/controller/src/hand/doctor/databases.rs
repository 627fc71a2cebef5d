//! What the two databases have of the move, and whether the control row wants it there.

use std::time::Duration;

use ficus_mover::{CursorState, FenceState, Mover, Side};

use super::{Desk, Findings};
use crate::{
    Error,
    domain::{Facts, Phase},
    error::Result,
};

/// A relay that is further behind than this needs a look.
const RELAY_LAG: Duration = Duration::from_secs(5);
/// Whoever takes a move in hand makes the databases agree with the control row.
const RESTART: &str = "restart the controllers, which mends it";

impl Desk {
    pub(super) async fn look_at_databases(
        &self,
        mover: &Mover,
        facts: &Facts,
        phase: Phase,
        found: &mut Findings,
    ) -> Result<()> {
        match phase {
            // Whoever has it in hand is working on it.
            Phase::Switching | Phase::Cancelling | Phase::Completing => Ok(()),
            Phase::Planned | Phase::Cancelled => {
                nothing_installed(mover, phase, facts.has_switched(), found).await?;
                if facts.has_switched() {
                    let shut = mover.fence_state(Side::Service).await? == FenceState::Shut;
                    let wrong = (!shut).then(|| {
                        "the service has owned, and accepts writes that nobody would see; `create`, `prepare` and `cancel` it \
                         again"
                            .to_owned()
                    });
                    found.check("the service's tables accept no writes", wrong);
                }
                Ok(())
            }
            Phase::Completed => {
                nothing_installed(mover, phase, false, found).await?;
                let state = mover.retired_fence().await?;
                let wrong = (state == FenceState::Open || state == FenceState::Mixed).then(|| {
                    "the monolith's retired tables accept writes that nobody carries; drop them, or shut them again"
                        .to_owned()
                });
                found.check("the monolith's retired tables accept no writes", wrong);
                Ok(())
            }
            _ => self.standing(mover, facts, found).await,
        }
    }

    /// A move that is prepared, and not being switched.
    async fn standing(&self, mover: &Mover, facts: &Facts, found: &mut Findings) -> Result<()> {
        let broken = mover.check_capture().await?;
        let broken = broken.iter().map(|r| format!("{}: {}; {}", r.name, r.reason, r.next_step));
        found.check("capture is enabled on both sides", broken);
        for side in [Side::Monolith, Side::Service] {
            let wanted = if side == facts.owner { FenceState::Open } else { FenceState::Shut };
            let state = mover.fence_state(side).await?;
            let wrong = (state != wanted)
                .then(|| format!("the {side}'s fence is {state:?}, not {wanted:?}; {RESTART}"));
            found.check(format!("the {side}'s fence is as the owner demands"), wrong);
            let wrong = token(mover, side, facts).await?;
            found.check(format!("the {side}'s token row is that of the present attempt"), wrong);
            let open = mover.open_sessions(side, facts.attempt).await?;
            let wrong = (open > 0).then(|| {
                format!("{open} sessions of attempts that are over have a transaction open on the {side}'s database; {RESTART}")
            });
            found
                .check(format!("older attempts have nothing open on the {side}'s database"), wrong);
            found.check(format!("the {side}'s relay keeps up"), self.relay(side, facts).await?);
        }
        found.check("the cursors are those of the present epoch", cursors(mover, facts).await?);
        Ok(())
    }

    async fn relay(&self, side: Side, facts: &Facts) -> Result<Option<String>> {
        let lag = match self.relay_lag(side).await {
            Ok(lag) => lag,
            Err(Error::Relay(error)) => {
                let next = "see that its database answers";
                return Ok(Some(format!("the {side}'s relay cannot be measured: {error}; {next}")));
            }
            Err(error) => return Err(error),
        };
        if let Some(reason) = lag.stopped {
            return Ok(Some(format!("the {side}'s relay has stopped: {reason}; mend that")));
        }
        // The owner's is held after a switch, until the one before has sent everything.
        if lag.held && side != facts.owner {
            return Ok(Some(format!(
                "the {side}'s relay is held, and no switch is under way; {RESTART}"
            )));
        }
        let late = lag.age.as_secs_f64();
        let sends = if lag.held { side.other() } else { side };
        let waits =
            if lag.held { format!(", for it waits for the {sends}'s") } else { String::new() };
        Ok((lag.age > RELAY_LAG).then(|| {
            format!(
                "the {side}'s relay is {late:.0} s behind{waits}; see that the {sends}'s process and the broker run"
            )
        }))
    }
}

/// But for the fence of a service that has `owned`.
async fn nothing_installed(
    mover: &Mover,
    phase: Phase,
    owned: bool,
    found: &mut Findings,
) -> Result<()> {
    for side in [Side::Monolith, Side::Service] {
        let left = mover.installed(side, owned).await?;
        let wrong = (!left.is_empty()).then(|| {
            let next = if phase == Phase::Planned { RESTART } else { "drop it by hand" };
            let (left, phase) = (left.join(", "), phase.as_str());
            format!("the move is {phase}, and the {side}'s database still has {left}; {next}")
        });
        found.check(format!("nothing of the move is left on the {side}'s database"), wrong);
    }
    Ok(())
}

async fn token(mover: &Mover, side: Side, facts: &Facts) -> Result<Option<String>> {
    let token = mover.token(side).await?;
    let said = token.as_ref().map(|token| (token.attempt, token.epoch));
    if said == Some((facts.attempt, facts.epoch)) {
        return Ok(None);
    }
    let (attempt, epoch) = (facts.attempt, facts.epoch);
    if let Some(token) = token.filter(|token| token.epoch > epoch) {
        return Ok(Some(format!(
            "the {side}'s database has seen epoch {} and the control row is of epoch {epoch}, which is old; restore a \
             later one, or put owner and epoch right by hand (docs/mover.md)",
            token.epoch
        )));
    }
    Ok(Some(format!(
        "the {side}'s token row says {said:?} and not attempt {attempt}, epoch {epoch}; {RESTART}"
    )))
}

/// The owner's direction has an open cursor of this epoch. The other one's is closed, or waits for the next epoch: a
/// try that was aborted has left it.
async fn cursors(mover: &Mover, facts: &Facts) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let direction = facts.owner.outward();
    let ahead = mover.cursor_state(direction).await?;
    if ahead != Some(CursorState { epoch: facts.epoch, closed: false }) {
        let epoch = facts.epoch;
        wrong.push(format!(
            "the {direction} cursor is {ahead:?} and must be open at epoch {epoch}; while the monolith owns, cancel \
             the move and create it anew"
        ));
    }
    let back = mover.cursor_state(direction.opposite()).await?;
    if let Some(cursor) = back.filter(|back| !back.closed && back.epoch <= facts.epoch) {
        let opposite = direction.opposite();
        let epoch = cursor.epoch;
        wrong.push(format!("the {opposite} cursor of epoch {epoch} is open; {RESTART}"));
    }
    Ok(wrong)
}
