//! A random schedule of writes, rounds and crashes, forward and reverse: after every round in one page the target
//! is the projection of the source. `FICUS_SEED` replays one.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use ficus_mover::{Budget, Direction, Error, Follower, Phase, Round, Side};
use rand::{Rng, SeedableRng, rngs::StdRng};
use sqlx::PgConnection;
use support::{Library, crash_after, run};

const EVENTS: u32 = 150;
const SESSIONS: usize = 3;

/// Sessions of one side with transactions that stay open across rounds.
struct Writers {
    side: Side,
    sessions: Vec<(PgConnection, bool)>,
}

impl Writers {
    async fn new(library: &Library, side: Side) -> Self {
        let mut sessions = Vec::new();
        for _ in 0..SESSIONS {
            let mut session = library.connect(side).await;
            run(&mut session, "SET lock_timeout = '5ms'").await.unwrap();
            sessions.push((session, false));
        }
        Self { side, sessions }
    }

    /// A few writes of one session; its transaction is left open, committed or rolled back.
    async fn write(&mut self, rng: &mut StdRng) {
        let (session, open) = &mut self.sessions[rng.random_range(0..SESSIONS)];
        if !*open {
            run(session, "BEGIN").await.unwrap();
            *open = true;
        }
        for _ in 0..rng.random_range(1..5) {
            let text = match self.side {
                Side::Monolith => monolith_write(rng),
                Side::Service => service_write(rng),
            };
            run(session, "SAVEPOINT s").await.unwrap();
            if run(session, text).await.is_err() || rng.random_bool(0.05) {
                run(session, "ROLLBACK TO s").await.unwrap();
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

fn shelf(rng: &mut StdRng) -> (char, u32) {
    (['a', 'B', 'ß', 'z'][rng.random_range(0..4)], rng.random_range(0..4))
}

fn author(rng: &mut StdRng) -> String {
    format!("{}{}", ['a', 'B', 'Ä', 'z'][rng.random_range(0..4)], rng.random_range(0..3))
}

fn isbn(rng: &mut StdRng) -> String {
    format!("i-{}", rng.random_range(0..40))
}

fn monolith_write(rng: &mut StdRng) -> String {
    let ((area, number), (area2, number2)) = (shelf(rng), shelf(rng));
    let (author, author2, isbn, isbn2) = (author(rng), author(rng), isbn(rng), isbn(rng));
    let n: u32 = rng.random_range(0..1000);
    match rng.random_range(0..15) {
        0 => format!("INSERT INTO shelves VALUES ('{area}', {number}, 'label {n}')"),
        1 | 2 => swap("shelves", (area, number), (area2, number2)),
        3 => format!(
            "UPDATE shelves SET number = {number2} WHERE area = '{area}' AND number = {number}"
        ),
        4 => {
            format!("INSERT INTO authors VALUES ('{author}', 'name {n}', date '1900-01-01' + {n})")
        }
        5 => format!("UPDATE authors SET name = 'renamed {n}' WHERE code = '{author}'"),
        6 => format!("UPDATE authors SET code = '{author2}' WHERE code = '{author}'"),
        7 | 8 => format!(
            "INSERT INTO books VALUES ('{isbn}', '{area}', {number}, '{author}', E'it''s \\\\ \"{n}\"', {n}.5, '{{a,NULL,\"b c\"}}')"
        ),
        9 => format!("UPDATE books SET author = '{author2}', price = NULL WHERE isbn = '{isbn}'"),
        10 => format!(
            "UPDATE books SET isbn = '{isbn2}', area = '{area2}', number = {number2} WHERE isbn = '{isbn}'"
        ),
        11 => format!("DELETE FROM books WHERE isbn IN ('{isbn}', '{isbn2}')"),
        12 => format!(
            "INSERT INTO copies VALUES ('{isbn}', {}, 'in') ON CONFLICT (isbn, nr) DO UPDATE SET state = 'out'",
            n % 3
        ),
        13 => format!(
            "UPDATE copies SET isbn = '{isbn2}' WHERE isbn = '{isbn}'; DELETE FROM loans WHERE id % 7 = {}",
            n % 7
        ),
        _ => format!(
            "INSERT INTO loans (isbn, nr) SELECT '{isbn}', g FROM generate_series(1, {}) AS g",
            n % 20
        ),
    }
}

fn service_write(rng: &mut StdRng) -> String {
    let ((area, number), (area2, number2)) = (shelf(rng), shelf(rng));
    let (author, author2, isbn, isbn2) = (author(rng), author(rng), isbn(rng), isbn(rng));
    let n: u32 = rng.random_range(0..1000);
    match rng.random_range(0..13) {
        0 => format!("INSERT INTO places VALUES ('{area}', {number}, 'label {n}')"),
        1 | 2 => swap("places", (area, number), (area2, number2)),
        3 => format!("INSERT INTO people VALUES ('{author}', 'name {n}')"),
        4 => format!(
            "UPDATE people SET name = 'renamed {n}' WHERE code = '{author}';
             UPDATE titles SET author_name = 'renamed {n}' WHERE author_code = '{author}'"
        ),
        5 => format!("DELETE FROM people WHERE code = '{author}'"),
        6 | 7 => format!(
            "INSERT INTO titles SELECT '{isbn}', '{area}', {number}, code, name, 'title {n}', 0.25, '{{}}' FROM people WHERE code = '{author}' FOR SHARE"
        ),
        8 => format!(
            "UPDATE titles SET (author_code, author_name) = (SELECT code, name FROM people WHERE code = '{author2}' FOR SHARE) WHERE isbn = '{isbn}'"
        ),
        9 => format!("UPDATE titles SET isbn = '{isbn2}', title = 'other' WHERE isbn = '{isbn}'"),
        10 => format!("DELETE FROM titles WHERE isbn = '{isbn}'"),
        11 => format!(
            "INSERT INTO items VALUES ('{isbn}', {}, 'in') ON CONFLICT (isbn, nr) DO UPDATE SET state = 'lost'",
            n % 3
        ),
        _ => format!(
            "INSERT INTO lendings (isbn) SELECT 'x' FROM generate_series(1, {}); DELETE FROM lendings WHERE id % 5 = {}",
            n % 20,
            n % 5
        ),
    }
}

/// Two unique values change places.
fn swap(table: &str, one: (char, u32), other: (char, u32)) -> String {
    let at = |(area, number): (char, u32)| format!("area = '{area}' AND number = {number}");
    format!(
        "CREATE TEMP TABLE IF NOT EXISTS l (a text, b text); TRUNCATE l;
         INSERT INTO l SELECT (SELECT label FROM {table} WHERE {one}), (SELECT label FROM {table} WHERE {other});
         DELETE FROM l WHERE a IS NULL OR b IS NULL OR a = b;
         UPDATE {table} SET label = 'aside' FROM l WHERE {one};
         UPDATE {table} SET label = l.a FROM l WHERE {other};
         UPDATE {table} SET label = l.b FROM l WHERE {one}",
        one = at(one),
        other = at(other)
    )
}

/// What a schedule came to, so that one that tests nothing is seen.
#[derive(Debug, Default)]
struct Tally {
    rounds: u32,
    single: u32,
    crashes: u32,
    dirty: u64,
    copied: u64,
    verified: u64,
}

async fn step(
    library: &Library,
    direction: Direction,
    follower: &mut Option<Follower>,
    rng: &mut StdRng,
    tally: &mut Tally,
) {
    let mut current = match follower.take() {
        Some(current) => current,
        None => library.follower(direction).await,
    };
    current.page_at_most([3, 300, 300][rng.random_range(0..3)]);
    let budget = Budget { chunks: rng.random_range(0..3) };
    if rng.random_bool(0.25) {
        tally.crashes += 1;
        if crash_after(rng.random_range(1..35), current.round(budget)).await.is_none() {
            return;
        }
        tally.crashes -= 1;
        *follower = Some(current);
        return;
    }
    match current.round(budget).await {
        Ok(round) => {
            check(library, direction, &round, tally).await;
            *follower = Some(current);
        }
        // The one that crashed before was still committing, and had.
        Err(Error::LostCursor { .. }) => {}
        Err(error) => panic!("{error:?}"),
    }
}

async fn check(library: &Library, direction: Direction, round: &Round, tally: &mut Tally) {
    tally.rounds += 1;
    tally.dirty += round.dirty;
    tally.copied += round.copied;
    tally.verified += round.verified;
    assert_eq!(round.verdict.rows_differing, 0, "{round:?}");
    if round.single_page {
        tally.single += 1;
        let (missing, extra) = library.differences(direction).await;
        assert!(extra.is_empty(), "extra {extra:#?} after {round:?}");
        assert!(
            missing.is_empty() || round.phase == Phase::Copying,
            "missing {missing:#?} after {round:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_single_page_round_the_target_is_the_projection_of_the_source() {
    let seed = std::env::var("FICUS_SEED").ok().and_then(|s| s.parse().ok());
    let seed: u64 = seed.unwrap_or_else(|| u64::from(std::process::id()));
    eprintln!("FICUS_SEED={seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut library = Library::new("schedule").await;
    let mut before = library.connect(Side::Monolith).await;
    run(&mut before, "INSERT INTO loans (isbn) SELECT 'old' FROM generate_series(1, 3000)")
        .await
        .unwrap();
    library.raise().await;
    library.mover.install(library.attempt, library.epoch, Side::Monolith).await.unwrap();
    let mut tally = Tally::default();
    for direction in [Direction::Forward, Direction::Reverse, Direction::Forward] {
        let mut writers = Writers::new(&library, direction.source()).await;
        let mut follower = None;
        for _ in 0..EVENTS {
            if rng.random_bool(0.5) {
                writers.write(&mut rng).await;
            } else {
                step(&library, direction, &mut follower, &mut rng, &mut tally).await;
            }
        }
        writers.end_all(&mut rng).await;
        let mut follower = library.follower(direction).await;
        support::follow_until_verified(&mut follower).await;
        assert_eq!(follower.verdict().rows_differing, 0);
        assert!(library.epoch > 1 || follower.rows_copied() > 0, "{}", follower.rows_copied());
        library.assert_equal(direction).await;
        eprintln!("{direction}: {tally:?}, {:?}", follower.verdict());
        library.switch(direction).await;
    }
    assert!(tally.single > 30 && tally.crashes > 10 && tally.dirty > 200, "{tally:?}");
    assert!(tally.verified > 50, "{tally:?}");
    library.close().await;
}
