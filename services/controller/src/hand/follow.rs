//! The stream of changes: a round at a time, and what a round or its failure says of the move.

use std::time::{Duration, Instant};

use ficus_mover::{Budget, Direction, Error as MoverError, Follower, Phase, Round};

use super::InHand;
use crate::{
    Error,
    domain::{Progress, Stream},
    error::{Result, lasting},
};

/// Between rounds that found nothing.
const PAUSE: Duration = Duration::from_millis(25);
/// While something else is waited for.
pub(super) const BUSY: Duration = Duration::from_millis(20);
/// Between turns of a move that does not flow.
pub(super) const IDLE: Duration = Duration::from_millis(500);
/// After a failure.
const STUMBLED: Duration = Duration::from_millis(500);
const CAPTURE_CHECK: Duration = Duration::from_mins(1);
/// Chunks of copying or comparing in one round.
const CHUNKS: u32 = 2;
/// For which customers have the source to themselves: a round that took longer has most likely waited for something.
const LONGEST: Duration = Duration::from_millis(250);
/// So many failures in a row, and one that will not pass by itself stops the stream.
const STUMBLES: u32 = 20;

impl InHand {
    /// One round; how long to rest after it.
    pub(crate) async fn follow(&mut self) -> Result<Duration> {
        self.follow_under(None).await
    }

    /// The same under an attempt, as the drain is.
    pub(crate) async fn follow_under(&mut self, attempt: Option<i64>) -> Result<Duration> {
        let Some(direction) = self.facts.direction.filter(|_| self.facts.stream.flows()) else {
            return Ok(IDLE);
        };
        let start = Instant::now();
        let chunks = if start < self.no_chunks_until { 0 } else { CHUNKS };
        match Box::pin(self.round(direction, attempt, Budget { chunks })).await {
            Ok((follower, round)) => {
                self.stumbles = 0;
                if round.beside_others && round.phase == Phase::Copying {
                    self.no_chunks_until = Instant::now() + start.elapsed().min(LONGEST);
                }
                self.note_progress(direction, &follower, &round).await?;
                self.follower = Some(follower);
                self.take_in(direction, &round).await?;
                Ok(rest(&round, chunks, start.elapsed()))
            }
            Err(error) => self.stumble(direction, error).await,
        }
    }

    async fn round(
        &mut self,
        direction: Direction,
        attempt: Option<i64>,
        budget: Budget,
    ) -> Result<(Follower, Round), MoverError> {
        let mut follower = match self.follower.take() {
            Some(follower) => follower,
            None => self.mover.follower(direction, self.facts.epoch).await?,
        };
        let round = match attempt {
            Some(attempt) => follower.round_under(budget, attempt).await?,
            None => follower.round(budget).await?,
        };
        Ok((follower, round))
    }

    async fn note_progress(
        &mut self,
        direction: Direction,
        follower: &Follower,
        round: &Round,
    ) -> Result<()> {
        let mut total = self.progress.borrow().rows_total;
        if total == 0 {
            total = self.mover.rows_total(direction).await?;
        }
        let copied = follower.rows_copied();
        self.progress.send_modify(|progress: &mut Progress| {
            progress.lag = round.lag;
            progress.rows_copied = copied;
            progress.rows_total = total;
            progress.trouble.clear();
            let now = Instant::now();
            progress.round_at = Some(now);
            match round.phase {
                Phase::Copying => progress.pass(copied, total, now),
                Phase::Verifying => progress.pass(round.verdict.rows_compared, total, now),
                Phase::Following => progress.pass(0, 0, now),
            }
        });
        Ok(())
    }

    /// Writes down what the round has changed of the move's facts.
    async fn take_in(&mut self, direction: Direction, round: &Round) -> Result<()> {
        if self.facts.stream == Stream::Copying && round.phase != Phase::Copying {
            let copied = self.progress.borrow().rows_copied;
            let text = format!("{copied} rows copied; comparing both sides, then following");
            self.set_stream(Stream::Following, direction, "", &text).await?;
        }
        self.take_verdict(&round.verdict).await
    }

    async fn stumble(&mut self, direction: Direction, error: MoverError) -> Result<Duration> {
        self.follower = None;
        self.stumbles += 1;
        let text = error.to_string();
        let stream = match &error {
            MoverError::StaleAttempt { .. } => return Err(Error::Stale),
            MoverError::NeedsRebase { .. } => Some(Stream::NeedsRebase),
            MoverError::Irreversible { .. } => Some(Stream::Irreversible),
            MoverError::Row { .. } | MoverError::Definition(_) | MoverError::Differs { .. } => {
                Some(Stream::Error)
            }
            other if self.stumbles >= STUMBLES && lasting(other) => Some(Stream::Error),
            _ => None,
        };
        tracing::warn!(error = %text, %direction, capability = self.desk.capability(), "a round failed");
        if let Some(stream) = stream {
            self.set_stream(stream, direction, &text, &text).await?;
        } else {
            self.progress.send_modify(|progress| progress.trouble = text);
        }
        Ok(STUMBLED)
    }

    pub(super) async fn set_stream(
        &mut self,
        stream: Stream,
        direction: Direction,
        error: &str,
        text: &str,
    ) -> Result<()> {
        self.hand.stream(stream, direction, error, text).await?;
        if !stream.flows() {
            self.follower = None;
            self.give_up_vdiffs(text);
        }
        self.refresh().await
    }

    /// Every minute: without its triggers the log says nothing of what was missed.
    pub(super) async fn check_capture(&mut self) -> Result<()> {
        let Some(direction) = self.facts.direction else { return Ok(()) };
        if self.capture_checked.elapsed() < CAPTURE_CHECK {
            return Ok(());
        }
        self.capture_checked = Instant::now();
        match self.mover.check_capture().await {
            Ok(findings) if findings.is_empty() => Ok(()),
            Ok(findings) => {
                let said =
                    findings.iter().map(|finding| format!("{}: {}", finding.name, finding.reason));
                let text = said.collect::<Vec<_>>().join("; ");
                self.follower = None;
                self.set_stream(Stream::NeedsRebase, direction, &text, &text).await
            }
            Err(error) => {
                self.progress.send_modify(|progress| progress.trouble = error.to_string());
                Ok(())
            }
        }
    }
}

/// Copying and comparing leave the customers a fifth of the time, and copying while there are some half of it, in which
/// what has changed is followed as ever; following looks again soon.
fn rest(round: &Round, chunks: u32, took: Duration) -> Duration {
    match round.phase {
        Phase::Copying | Phase::Verifying if chunks > 0 => (took / 4).clamp(PAUSE / 25, PAUSE),
        _ if round.dirty == 0 => PAUSE,
        _ => PAUSE / 5,
    }
}
