//! Comparing both sides, and who waits for it.

use ficus_mover::Verdict;
use ficus_rpc::Error as Answer;
use tokio::sync::oneshot;

use super::InHand;
use crate::{
    domain::{Outcome, Refusal, Verb, refusal},
    error::Result,
};

impl InHand {
    /// Has both sides compared whole, and answers when they are. A pass that is under way is awaited.
    pub(super) async fn vdiff(
        &mut self,
        answer: oneshot::Sender<Result<Outcome, Answer>>,
    ) -> Result<()> {
        if let Some(refusal) = refusal(Verb::Vdiff, &self.facts) {
            let _ = answer.send(Ok(Outcome::refused(vec![refusal])));
            return Ok(());
        }
        self.vdiffs.push(answer);
        let Some(direction) = self.facts.direction else { return Ok(()) };
        let mut follower = match self.follower.take() {
            Some(follower) => follower,
            None => self.mover.follower(direction, self.facts.epoch).await?,
        };
        if follower.verdict().whole {
            follower.verify_again().await?;
            self.hand.diff(None, "comparing both sides again").await?;
            self.refresh().await?;
        }
        self.follower = Some(follower);
        Ok(())
    }

    /// A diff that was found whole is written down; those who wait are told.
    pub(super) async fn take_verdict(&mut self, verdict: &Verdict) -> Result<()> {
        if !verdict.whole {
            return Ok(());
        }
        let known = self.facts.diff.map(|diff| diff.differing);
        if known != Some(verdict.rows_differing) {
            let (rows, differing) = (verdict.rows_compared, verdict.rows_differing);
            let text = format!("{rows} rows compared, {differing} differ");
            self.hand.diff(Some((rows, differing)), &text).await?;
            self.refresh().await?;
        }
        for waiting in std::mem::take(&mut self.vdiffs) {
            let _ = waiting.send(Ok(told(verdict)));
        }
        Ok(())
    }

    /// The stream has ended, and the comparison with it.
    pub(super) fn give_up_vdiffs(&mut self, reason: &str) {
        for waiting in std::mem::take(&mut self.vdiffs) {
            let refusal = Refusal::new("stream", reason, "`status` tells more; start it again");
            let _ = waiting.send(Ok(Outcome::refused(vec![refusal])));
        }
    }
}

fn told(verdict: &Verdict) -> Outcome {
    let line = format!(
        "{} rows compared, {} differ; {} changed since and are compared again",
        verdict.rows_compared, verdict.rows_differing, verdict.pending
    );
    if verdict.rows_differing == 0 {
        return Outcome::done([line]);
    }
    let differ = |key: &String| {
        Refusal::new(
            key.clone(),
            "differs",
            "look at the row on both sides and mend it, then vdiff again",
        )
    };
    Outcome {
        lines: vec![line],
        refusals: verdict.differing.iter().map(differ).collect(),
        ..Outcome::default()
    }
}

/// What a dry run says.
pub(super) fn plan() -> Outcome {
    Outcome::plan(&["compare every row of both sides at one snapshot, under live writes"], vec![])
}
