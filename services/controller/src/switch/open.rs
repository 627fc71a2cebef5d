//! C7 to C9: behind the point of no return everything is rolled forward.

use std::time::Duration;

use chrono::{DateTime, Utc};
use ficus_mover::{Error as MoverError, Mover, Opening, Side};

use super::{Stop, Way, step, wait};
use crate::{domain::Step, hand::InHand};

/// A read lease that was asked for before C6 has ended by then (150 ms), so nobody reads at the old owner.
pub(super) const LEASES_END: Duration = Duration::from_millis(200);
const ASK: Duration = Duration::from_millis(1);
/// Who has not acknowledged by then is named; the next switch waits for it.
const LATE: Duration = Duration::from_secs(2);

/// The old owner's database learns of the new epoch before the new owner is opened: by a control row that has lost C6, as
/// after a failover, it would be opened beside. It may be away, and is not waited for longer than the leases.
pub(super) async fn end(mover: &Mover, side: Side, attempt: i64, epoch: i64) {
    match tokio::time::timeout(LEASES_END, mover.raise_token(side, attempt, epoch)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "failed to tell the old owner of the new epoch"),
        Err(_) => tracing::warn!("the old owner's database was not told of the new epoch in time"),
    }
}

impl InHand {
    /// C7: opens the new owner once every picker acts on the new epoch, or the leases have ended.
    pub(super) async fn open(
        &mut self,
        way: Way,
        opening: Opening,
        epoch: i64,
    ) -> Result<(), Stop> {
        let (store, capability) = (&self.hand.store, &self.hand.capability);
        let start = std::time::Instant::now();
        let asking = wait::for_all(LEASES_END, ASK, || store.not_at(capability, epoch));
        let (asked, ()) = tokio::join!(
            tokio::time::timeout(LEASES_END, asking),
            end(&self.mover, way.from, self.hand.attempt, epoch),
        );
        if !matches!(asked, Ok(Ok(_))) {
            tokio::time::sleep(LEASES_END.saturating_sub(start.elapsed())).await;
        }
        step::around("C7", self.commit(way, opening, epoch)).await?;
        Ok(())
    }

    async fn commit(&self, way: Way, opening: Opening, epoch: i64) -> Result<(), MoverError> {
        let Err(error) = opening.commit().await else { return Ok(()) };
        tracing::warn!(%error, "the prepared opening was lost; opening again");
        self.mover.prepare_opening(way.direction, self.hand.attempt, epoch).await?.commit().await
    }

    /// C8 and C9: waits for the late ones a moment, and has changes flow back. When C6 was.
    pub(super) async fn settle(
        &mut self,
        way: Way,
        epoch: i64,
        pause: Duration,
    ) -> Result<DateTime<Utc>, Stop> {
        let pause = format!("write pause {:.1} ms", pause.as_secs_f64() * 1_000.0);
        let text = format!("writes are open at the {}; {pause}", way.to);
        self.hand.passed(Step::C7, &text).await?;
        for side in [way.to, way.from] {
            self.mover.raise_token(side, self.hand.attempt, epoch).await?;
        }
        step::around("C8", self.await_late(epoch)).await?;
        let back = way.direction.opposite();
        let text = format!("changes flow back, {back}");
        let at = step::around("C9", self.hand.finish_switch(back, &text)).await?;
        self.follower = None;
        self.progress.send_replace(crate::domain::Progress::default());
        self.refresh().await?;
        Ok(at)
    }

    async fn await_late(&self, epoch: i64) -> Result<(), Stop> {
        let (store, capability) = (&self.hand.store, &self.hand.capability);
        let left = wait::for_all(LATE, ASK, || store.not_at(capability, epoch)).await?;
        let text = if left.all_have() {
            format!("every picker acts on epoch {epoch}")
        } else {
            format!(
                "the next switch waits for {}, which the fences hold back",
                left.missing.join(", ")
            )
        };
        Ok(self.hand.passed(Step::C8, &text).await?)
    }
}
