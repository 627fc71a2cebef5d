//! C6: the owner changes. One statement in the control database, which also names what it happened under.

use uuid::Uuid;

use super::{
    Stop, Way,
    shut::{BUDGET, Shut, since},
    step,
};
use crate::{hand::InHand, store::Decision};

impl InHand {
    /// The new epoch. Refused by the control database, the switch is aborted; without an answer, only
    /// raising the attempt can tell, so the move is taken anew.
    pub(super) async fn decide(
        &mut self,
        way: Way,
        pending: Uuid,
        shut: &Shut,
    ) -> Result<i64, Stop> {
        if shut.asked.elapsed() >= BUDGET {
            return Err(Stop::Aborted("C6: C1 to C5 took longer than 1,000 ms".to_owned()));
        }
        let epoch = self.facts.epoch;
        let decision = Decision { from: way.from, epoch, pending };
        self.c6_asked = true;
        let mut steps = shut.steps.clone();
        // The control database puts the new owner's name in.
        steps.push(("C6", format!("the %s owns it, after {}", since(shut.asked))));
        let decided = step::around("C6", self.hand.decide(&decision, &steps)).await?;
        if decided {
            return Ok(epoch + 1);
        }
        Err(Stop::Aborted(
            "C6: refused by the control database: pending has run out, or another has the move"
                .to_owned(),
        ))
    }
}
