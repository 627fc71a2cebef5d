//! A random schedule of writes, rounds and crashes, forward and reverse: after every round in one page the target
//! is the projection of the source. `FICUS_SEED` replays one.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use ficus_mover::{Budget, Direction, Error, Follower, Phase, Round, Side};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::PgConnection;

use crate::{
    moving::{Moving, crash_after, follow_until_verified, run},
    setting,
};

/// One or more statements that a customer of this side may send; some may be refused by the tables.
pub type Write = fn(Side, &mut StdRng) -> String;

const EVENTS: u32 = 150;
const SESSIONS: usize = 3;

/// Installs the move and runs a schedule there, back and there again.
pub async fn run_schedule(moving: &mut Moving, write: Write) {
    let seed = setting("FICUS_SEED", std::process::id().into());
    eprintln!("FICUS_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    moving.install().await;
    let mut tally = Tally::default();
    for direction in [Direction::Forward, Direction::Reverse, Direction::Forward] {
        let mut writers = Writers::new(moving, direction.source(), write).await;
        let mut follower = None;
        for _ in 0..EVENTS {
            if rng.random_bool(0.5) {
                writers.write(&mut rng).await;
            } else {
                step(moving, direction, &mut follower, &mut rng, &mut tally).await;
            }
        }
        writers.end_all(&mut rng).await;
        tally.written += writers.written;
        let mut follower = moving.follower(direction).await;
        follow_until_verified(&mut follower).await;
        assert_eq!(follower.verdict().rows_differing, 0, "{:?}", follower.verdict());
        assert!(moving.epoch > 1 || follower.rows_copied() > 0, "{}", follower.rows_copied());
        moving.assert_equal(direction).await;
        eprintln!("{direction}: {tally:?}, {:?}", follower.verdict());
        moving.switch(direction).await;
    }
    assert!(tally.single > 30 && tally.crashes > 10 && tally.dirty > 200, "{tally:?}");
    assert!(tally.verified > 50 && tally.written > 200, "{tally:?}");
}

/// Sessions of one side with transactions that stay open across rounds.
struct Writers {
    side: Side,
    sessions: Vec<(PgConnection, bool)>,
    write: Write,
    written: u32,
}

impl Writers {
    async fn new(moving: &Moving, side: Side, write: Write) -> Self {
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let mut session = moving.connect(side).await;
            run(&mut session, "SET lock_timeout = '5ms'").await.unwrap();
            sessions.push((session, false));
        }
        Self { side, sessions, write, written: 0 }
    }

    /// A few writes of one session; its transaction is left open, committed or rolled back.
    async fn write(&mut self, rng: &mut StdRng) {
        let (session, open) = &mut self.sessions[rng.random_range(0..SESSIONS)];
        if !*open {
            run(session, "BEGIN").await.unwrap();
            *open = true;
        }
        for _ in 0..rng.random_range(1..5) {
            run(session, "SAVEPOINT s").await.unwrap();
            let refused = run(session, (self.write)(self.side, rng)).await.is_err();
            if refused || rng.random_bool(0.05) {
                run(session, "ROLLBACK TO s").await.unwrap();
            } else {
                self.written += 1;
            }
        }
        if rng.random_bool(0.6) {
            run(session, if rng.random_bool(0.9) { "COMMIT" } else { "ROLLBACK" }).await.unwrap();
            *open = false;
        }
    }

    async fn end_all(&mut self, rng: &mut StdRng) {
        for (session, open) in self.sessions.iter_mut().filter(|(_, open)| *open) {
            run(session, if rng.random() { "COMMIT" } else { "ROLLBACK" }).await.unwrap();
            *open = false;
        }
    }
}

/// What a schedule came to, so that one that tests nothing is seen.
#[derive(Debug, Default)]
struct Tally {
    written: u32,
    rounds: u32,
    single: u32,
    crashes: u32,
    dirty: u64,
    copied: u64,
    verified: u64,
}

async fn step(
    moving: &Moving,
    direction: Direction,
    follower: &mut Option<Follower>,
    rng: &mut StdRng,
    tally: &mut Tally,
) {
    let mut current = match follower.take() {
        Some(current) => current,
        None => moving.follower(direction).await,
    };
    current.page_at_most([3, 300, 300][rng.random_range(0..3)]);
    let ahead = current.phase() == Phase::Copying && rng.random_bool(0.3);
    current.read_ahead(ahead);
    let budget = Budget { chunks: rng.random_range(0..3) };
    if rng.random_bool(0.25) {
        tally.crashes += 1;
        if crash_after(rng.random_range(1..25), current.round(budget)).await.is_none() {
            return;
        }
        tally.crashes -= 1;
        *follower = Some(current);
        return;
    }
    match current.round(budget).await {
        Ok(round) => {
            check(moving, direction, &round, ahead, tally).await;
            *follower = Some(current);
        }
        // The one that crashed before was still committing, and had.
        Err(Error::LostCursor { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
}

/// The target is the projection of the source as the round read it: as it is now, unless that was `ahead` of the writes
/// in between. What is wrong then, the comparison of both sides will find.
async fn check(
    moving: &Moving,
    direction: Direction,
    round: &Round,
    ahead: bool,
    tally: &mut Tally,
) {
    tally.rounds += 1;
    tally.dirty += round.dirty;
    tally.copied += round.copied;
    tally.verified += round.verified;
    assert_eq!(round.verdict.rows_differing, 0, "{round:?}");
    if round.single_page && !ahead {
        tally.single += 1;
        let (missing, extra) = moving.differences(direction).await;
        assert!(extra.is_empty(), "extra {extra:#?} after {round:?}");
        assert!(
            missing.is_empty() || round.phase == Phase::Copying,
            "missing {missing:#?} after {round:?}"
        );
    }
}
