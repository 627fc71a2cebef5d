//! Changing the owner, steps C0 to C9. One file per concern, in the order in which they happen:
//!
//! | file | steps |
//! |---|---|
//! | `preflight` | C0: what stands against it, who is waited for |
//! | `quiesce` | C0: the attempt is raised, *pending* acknowledged and quiet |
//! | `shut` | C1 to C5: fence, drain, compare, sequences, the opening prepared |
//! | `decide` | C6, the point of no return |
//! | `open` | C7 to C9: the opening committed, the late ones waited for, the stream turned round |
//! | `abort` | back from any step before C6 |
//! | [`heal`] | at a takeover: both databases made to agree with the control row |

mod abort;
mod decide;
pub(crate) mod heal;
mod open;
mod preflight;
mod quiesce;
mod shut;
mod step;
mod wait;

use std::time::{Duration, Instant};

use ficus_mover::{Direction, Side};

use crate::{
    Error,
    domain::{Outcome, Refusal, Switched},
    error::Result,
    hand::{InHand, Options},
    metrics,
};

/// Between two tries.
const BETWEEN_TRIES: Duration = Duration::from_millis(200);

/// From whom to whom, and the stream between them.
#[derive(Debug, Clone, Copy)]
struct Way {
    from: Side,
    to: Side,
    direction: Direction,
}

/// Why a try has ended.
#[derive(Debug)]
enum Stop {
    /// Nothing was begun.
    Refused(Vec<Refusal>),
    /// Before C6; everything is as it was.
    Aborted(String),
    /// What has become of it is not known; the move has to be taken anew.
    Open(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Open(error)
    }
}

impl From<ficus_mover::Error> for Stop {
    fn from(error: ficus_mover::Error) -> Self {
        Self::Open(error.into())
    }
}

impl InHand {
    /// Makes `to` the owner, in up to `options.tries` tries.
    pub(crate) async fn switch(&mut self, to: Side, options: &Options) -> Result<Outcome> {
        let way = Way { from: to.other(), to, direction: to.other().outward() };
        if options.dry_run {
            return Ok(Outcome::plan(&plan(way), self.stands_against(way).await?));
        }
        let mut lines = Vec::new();
        for number in 1..=options.tries.max(1) {
            match self.attempt(way).await {
                Ok(switched) => {
                    metrics::switched(&self.facts.capability, &to.to_string(), switched.pause);
                    return Ok(done(lines, Switched { tries: number, ..switched }, to));
                }
                Err(Stop::Refused(refusals)) => {
                    return Ok(Outcome { lines, ..Outcome::refused(refusals) });
                }
                Err(Stop::Aborted(reason)) => {
                    lines.push(format!("try {number} was aborted: {reason}"));
                }
                Err(Stop::Open(error)) => {
                    lines.push(format!("try {number} was cut off: {error}"));
                    let asked = self.fence_asked;
                    self.take_anew("taken in hand anew within a switch").await;
                    if self.facts.owner == to {
                        return Ok(done(lines, self.healed(asked, number), to));
                    }
                }
            }
            self.follow_while(tokio::time::sleep(jittered(BETWEEN_TRIES))).await?;
        }
        Ok(given_up(lines, options.tries, to))
    }

    async fn attempt(&mut self, way: Way) -> Result<Switched, Stop> {
        (self.fence_asked, self.c6_asked) = (None, false);
        self.preflight(way).await?;
        self.raise(way).await?;
        match self.cross(way).await {
            Err(Stop::Aborted(reason)) => {
                self.abort(way, &reason).await?;
                Err(Stop::Aborted(reason))
            }
            other => other,
        }
    }

    /// C0's second half to C9, under an attempt that is raised.
    async fn cross(&mut self, way: Way) -> Result<Switched, Stop> {
        self.hold_relay(way).await?;
        let pending = self.quiesce().await?;
        self.announce(way).await?;
        let asked = Instant::now();
        self.fence_asked = Some(asked);
        let shut = self.shut_in_time(way, asked).await?;
        let epoch = self.decide(way, pending, &shut).await?;
        let opening = shut.opening;
        self.open(way, opening, epoch).await?;
        let pause = asked.elapsed();
        self.handover = shut.handover;
        let at = self.settle(way, epoch, pause).await?;
        Ok(Switched { epoch, at, pause, tries: 0 })
    }

    /// A switch that was rolled forward; its pause is the time until that was done.
    fn healed(&self, asked: Option<Instant>, tries: u32) -> Switched {
        let at = self.facts.switched_at.unwrap_or_default();
        let pause = asked.map_or(Duration::ZERO, |asked| asked.elapsed());
        Switched { epoch: self.facts.epoch, at, pause, tries }
    }
}

fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.5 + ficus_process::random::unit())
}

fn done(lines: Vec<String>, switched: Switched, to: Side) -> Outcome {
    let mut outcome = Outcome::done(lines);
    outcome.lines.push(format!("the {to} owns it, epoch {}", switched.epoch));
    outcome.switched = Some(switched);
    outcome
}

fn given_up(lines: Vec<String>, tries: u32, to: Side) -> Outcome {
    let refusal = Refusal::new(
        "switch",
        format!("given up after {tries} tries; the {} still owns it, no write is lost", to.other()),
        "mend what the lines above name, then try again, or give more --tries",
    );
    Outcome { lines, ..Outcome::refused(vec![refusal]) }
}

fn plan(way: Way) -> [&'static str; 8] {
    let [fence, open] = match way.to {
        Side::Service => ["C1 fence the monolith's tables", "C7 open the service's tables"],
        Side::Monolith => ["C1 fence the service's tables", "C7 open the monolith's tables"],
    };
    [
        "C0 preflight: copy done, stream and relay close behind, both sides compared equal within 15 minutes, the new \
         owner takes connections, nobody holds the tables, the way back rehearsed with a row of each that is rolled back, pickers at the present epoch",
        "C0 every picker acknowledges that a switch is pending, workers come to rest",
        fence,
        "C2 drain, C3 compare what changed since, C4 sequences",
        "C5 prepare the opening of the new owner",
        "C6 the owner changes in the control database: the point of no return",
        open,
        "C8 late pickers, C9 changes flow the other way",
    ]
}
