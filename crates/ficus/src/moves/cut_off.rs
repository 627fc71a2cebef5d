//! A controller died in the middle of a verb: another takes the move in hand and rolls it forward or back.
//! What came of it is asked of that one.

use std::time::{Duration, Instant};

use ficus_control_api::control::v1::{Move, Outcome};

use super::moves;
use crate::{
    cli::Verb,
    controllers::{Controllers, Failure},
};

/// A takeover takes 5 s.
const PATIENCE: Duration = Duration::from_secs(30);
const BETWEEN: Duration = Duration::from_millis(300);

/// What came of the verb; `None` if it is to be given again, which does no harm.
pub(super) async fn find_out(
    controllers: &Controllers,
    capability: &str,
    verb: &Verb,
) -> anyhow::Result<Option<Outcome>> {
    let (wanted, dry_run) = match verb {
        Verb::SwitchTraffic(switch) => ("service", switch.dry.dry_run),
        Verb::ReverseTraffic(switch) => ("monolith", switch.dry.dry_run),
        Verb::Create(_) => return created(controllers, capability).await,
        _ => return Ok(None),
    };
    if dry_run {
        return Ok(None);
    }
    let found = settled(controllers, capability).await?;
    Ok(Some(if found.owner == wanted { forward(&found) } else { back(&found, verb) }))
}

/// Waits until no switch is under way.
async fn settled(controllers: &Controllers, capability: &str) -> anyhow::Result<Move> {
    let start = Instant::now();
    loop {
        match moves(controllers, capability, 1).await {
            Ok(mut found) => match found.pop() {
                Some(found) if found.step.is_empty() => return Ok(found),
                Some(found) if start.elapsed() > PATIENCE => anyhow::bail!(
                    "the switch is still at {} after {PATIENCE:?}; `ficus move {capability} status` tells more",
                    found.step
                ),
                _ => {}
            },
            Err(Failure::CutOff(_)) if start.elapsed() < PATIENCE => {}
            Err(failure) => return Err(failure.into()),
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

fn forward(found: &Move) -> Outcome {
    let line = format!(
        "the controller died in the middle; the switch was rolled forward: the {} owns it, epoch {}",
        found.owner, found.epoch
    );
    Outcome { done: true, lines: vec![line], refusals: Vec::new(), switch: None }
}

fn back(found: &Move, verb: &Verb) -> Outcome {
    let word = if matches!(verb, Verb::SwitchTraffic(_)) { "switch" } else { "reverse" };
    let line = format!(
        "the controller died in the middle; the switch was rolled back: the {} still owns it, epoch {}",
        found.owner, found.epoch
    );
    let refusal = format!("switch: it did not happen; try `{word}-traffic` again");
    Outcome { done: false, lines: vec![line], refusals: vec![refusal], switch: None }
}

async fn created(controllers: &Controllers, capability: &str) -> anyhow::Result<Option<Outcome>> {
    let planned = |found: &Move| found.capability == capability && found.phase == "planned";
    let found = moves(controllers, "", 1).await?;
    Ok(found.iter().any(planned).then(|| Outcome {
        done: true,
        lines: vec!["written down, before the controller died".to_owned()],
        refusals: Vec::new(),
        switch: None,
    }))
}
