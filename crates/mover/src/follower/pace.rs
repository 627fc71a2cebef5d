//! How large pages and chunks are, who else is at work, and when the log is pruned.

use ficus_pg::within;
use sqlx::PgConnection;
use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::Result;

use super::{Follower, SILENCE, read::Source};

/// What a chunk or a page should take on the source at most.
const AIM: Duration = Duration::from_millis(100);
const CHUNK: (f64, f64) = (500.0, 20_000.0);
const PAGE: u32 = 10_000;
/// A drain takes this many entries at most, and compares as many covers: both in the write pause.
pub(crate) const LARGEST_DRAIN: u32 = 10_000;
/// A page is not made smaller than this: an entry costs an index look-up or two.
const SMALLEST_PAGE: u32 = 500;

/// Of so many other sessions that are at work on average customers may feel a copy: a fourth of the time one is.
const BUSY: f64 = 0.25;
/// Each look counts for so much of the average.
const LOOK: f64 = 0.125;
/// Beside others a chunk takes a fourth: who wants a processor or a page meanwhile waits that much less.
const BESIDE_OTHERS: f64 = 0.25;

/// Adapts so that each stays below [`AIM`].
#[derive(Debug)]
pub(crate) struct Pace {
    /// Other sessions at work on the source, the last few looks on average.
    others: f64,
    chunk: f64,
    pub page: u32,
    pub largest_page: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self { others: 0.0, chunk: 2_000.0, page: PAGE, largest_page: PAGE }
    }
}

impl Pace {
    pub fn chunk_rows(&self) -> i64 {
        #[expect(clippy::cast_possible_truncation, reason = "between 500 and 20,000")]
        let rows = self.chunk as i64;
        rows
    }

    /// Whether others work on the source, most likely for customers, who come first.
    pub(super) fn beside_others(&self) -> bool {
        self.others >= BUSY
    }

    /// Goes by how long the source took.
    pub(super) fn took(&mut self, source: &Source) {
        if let Some(others) = source.others {
            self.saw(others);
        }
        self.page_took(source.page_took, !source.short);
        for took in &source.chunks_took {
            self.chunk_took(*took);
        }
    }

    fn saw(&mut self, others: i32) {
        self.others += LOOK * (f64::from(others.min(4)) - self.others);
    }

    /// A chunk of the present size took the source this long.
    fn chunk_took(&mut self, elapsed: Duration) {
        let aim = AIM.mul_f64(if self.beside_others() { BESIDE_OTHERS } else { 1.0 });
        let room = 0.8 * aim.as_secs_f64() / elapsed.as_secs_f64().max(1e-4);
        self.chunk = (self.chunk * room.clamp(0.25, 1.5)).clamp(CHUNK.0, CHUNK.1);
    }

    /// Reading the changes of a page took this long.
    fn page_took(&mut self, elapsed: Duration, full: bool) {
        if elapsed > AIM {
            self.page = (self.page / 2).max(SMALLEST_PAGE).min(self.largest_page);
        } else if full && elapsed < AIM / 3 {
            self.page = (self.page * 2).min(self.largest_page);
        }
    }
}

/// How many sessions, Ficus's own left out, are in the midst of a statement or a transaction.
pub(super) async fn others_at_work(connection: &mut PgConnection) -> sqlx::Result<i32> {
    sqlx::query_scalar(
        "SELECT count(*)::int4 FROM pg_stat_activity
         WHERE datname = current_database() AND backend_type = 'client backend'
           AND application_name NOT LIKE 'ficus%' AND state <> 'idle'",
    )
    .fetch_one(connection)
    .await
}

/// What is confirmed this long may leave the log.
const KEPT: Duration = Duration::from_mins(15);
const EVERY: Duration = Duration::from_mins(1);

/// Remembers which snapshot was confirmed when.
#[derive(Debug, Default)]
pub(crate) struct Pruner {
    confirmed: VecDeque<(Instant, String)>,
}

impl Pruner {
    fn confirm(&mut self, snap: &str) {
        if self.confirmed.back().is_none_or(|(at, _)| at.elapsed() >= EVERY) {
            self.confirmed.push_back((Instant::now(), snap.to_owned()));
        }
    }

    /// The newest snapshot that is old enough.
    fn due(&mut self) -> Option<String> {
        let mut due = None;
        while self.confirmed.front().is_some_and(|(at, _)| at.elapsed() >= KEPT) {
            due = self.confirmed.pop_front().map(|(_, snap)| snap);
        }
        due
    }
}

impl Follower {
    /// Takes out of the source's log what the cursor saw 15 minutes ago, a bounded piece at a time.
    pub(super) async fn prune(&mut self) -> Result<()> {
        self.pruner.confirm(&self.cursor.snap);
        let Some(snap) = self.pruner.due() else {
            return Ok(());
        };
        let source = self.mover.database(self.direction.source());
        loop {
            let removed = sqlx::query_scalar("SELECT ficus.prune($1, $2::text::pg_snapshot)")
                .bind(&self.mover.inner.capability)
                .bind(&snap)
                .fetch_one(&source.follow);
            let removed: i64 = within(SILENCE, removed).await.map_err(|e| source.error(e))?;
            if removed < 10_000 {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn chunks_shrink_when_they_are_slow_and_grow_when_they_are_fast() {
        let mut pace = Pace::default();
        pace.chunk_took(Duration::from_secs(1));
        assert_eq!(pace.chunk_rows(), 500);
        for _ in 0..20 {
            pace.chunk_took(Duration::from_millis(1));
        }
        assert_eq!(pace.chunk_rows(), 20_000);
    }

    #[test]
    fn chunks_are_small_beside_others() {
        let mut pace = Pace::default();
        let chunk = |pace: &mut Pace| {
            // A row takes 10 µs.
            for _ in 0..20 {
                pace.chunk_took(
                    Duration::from_micros(10) * u32::try_from(pace.chunk_rows()).unwrap(),
                );
            }
            pace.chunk_rows()
        };
        assert_eq!(chunk(&mut pace), 8_000);
        // One that looks after something now and then is nobody's customer.
        for look in 0..100 {
            pace.saw(i32::from(look % 10 == 0));
            assert!(!pace.beside_others());
        }
        for look in 0..20 {
            pace.saw(i32::from(look % 2 == 0));
        }
        assert!(pace.beside_others());
        assert_eq!(chunk(&mut pace), 2_000);
        for _ in 0..20 {
            pace.saw(0);
        }
        assert!(!pace.beside_others());
        assert_eq!(chunk(&mut pace), 8_000);
    }
}
