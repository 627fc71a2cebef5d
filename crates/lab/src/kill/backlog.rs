//! Work that nobody waits for: events that are not applied yet and mails that are not sent, read from the
//! databases.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use sqlx::{Connection as _, PgConnection, Row as _};
use tokio::task::JoinHandle;

use crate::stack::Stack;

const LOOK: Duration = Duration::from_millis(200);
/// An answer that takes longer is none.
const PATIENCE: Duration = Duration::from_secs(2);
/// What is younger is under way, not behind.
const BEHIND: f64 = 2.0;
/// Rows that a lower id may still join when their transaction commits late.
const LATE: i64 = 2_000;

/// Samples of how far behind the oldest work is.
pub struct Backlog {
    samples: Arc<Mutex<Vec<Sample>>>,
    watching: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    /// Since the load began.
    at: Duration,
    /// Seconds; `None` while it cannot be read.
    behind: Option<f64>,
}

impl Backlog {
    /// Watches from now on; `begun` is when the load began.
    pub fn watch(stack: &Stack, begun: Instant) -> Result<Self> {
        let url = |name| stack.database(name).map(str::to_owned);
        let mut watcher = Watcher {
            monolith: Line::new(url("monolith")?),
            service: Line::new(url("notifications")?),
            control: Line::new(url("control")?),
            unapplied: HashMap::new(),
            known: HashMap::new(),
            latest: 0,
        };
        let samples = Arc::new(Mutex::new(Vec::new()));
        let taken = samples.clone();
        let watching = tokio::spawn(async move {
            loop {
                let behind = tokio::time::timeout(PATIENCE, watcher.behind()).await;
                if !matches!(behind, Ok(Ok(_))) {
                    watcher.hang_up();
                }
                let behind = behind.ok().and_then(Result::ok);
                let sample = Sample { at: begun.elapsed(), behind };
                taken.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
                tokio::time::sleep(LOOK).await;
            }
        });
        Ok(Self { samples, watching })
    }

    /// When nothing was behind any more, with the victim answering since `answers`; `None` if that is not known yet.
    pub fn caught_up_since(&self, answers: Duration) -> Option<Duration> {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        caught_up(samples.iter().filter(|sample| sample.at >= answers), answers)
    }

    /// The last sample, for a person.
    pub fn text(&self) -> String {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        match samples.last().map(|sample| sample.behind) {
            Some(Some(age)) => format!("is {age:.1} s behind"),
            _ => "cannot be read".to_owned(),
        }
    }
}

/// What a death has left undone is behind only when it has become old enough.
fn caught_up<'a>(samples: impl Iterator<Item = &'a Sample>, answers: Duration) -> Option<Duration> {
    let known = answers + Duration::from_secs_f64(BEHIND);
    let mut since = Some(answers);
    for sample in samples {
        if sample.behind.is_none_or(|age| age > BEHIND) {
            since = None;
        } else {
            let at = *since.get_or_insert(sample.at);
            if sample.at >= known {
                return Some(at);
            }
        }
    }
    None
}

impl Drop for Backlog {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// A connection that is opened when it is needed.
struct Line {
    url: String,
    open: Option<PgConnection>,
}

impl Line {
    fn new(url: String) -> Self {
        Self { url, open: None }
    }

    async fn get(&mut self) -> Result<&mut PgConnection> {
        if self.open.is_none() {
            self.open = Some(PgConnection::connect(&self.url).await?);
        }
        self.open.as_mut().context("it was opened above")
    }
}

struct Watcher {
    monolith: Line,
    service: Line,
    control: Line,
    /// When each event was published, by its id.
    unapplied: HashMap<String, Instant>,
    /// Ids of the last outbox rows, by the event's.
    known: HashMap<String, i64>,
    /// The highest of them.
    latest: i64,
}

impl Watcher {
    /// How old the oldest work is that is not done, in seconds.
    async fn behind(&mut self) -> Result<f64> {
        self.read_published().await?;
        let statement = "SELECT owner = 'service' FROM move WHERE capability = 'notifications'";
        let moved = sqlx::query_scalar(statement).fetch_optional(self.control.get().await?).await?;
        let mails = if moved.unwrap_or(false) {
            self.read_applied(
                "SELECT event_id::text FROM inbox_events WHERE event_id = ANY ($1::uuid[])",
                true,
            )
            .await?;
            let statement = "SELECT extract(epoch FROM clock_timestamp() - min(m.created_at))::float8
                             FROM mails m JOIN deliveries d ON d.mail_id = m.id WHERE d.state IN ('queued', 'sending')";
            sqlx::query_scalar::<_, Option<f64>>(statement)
                .fetch_one(self.service.get().await?)
                .await?
        } else {
            self.read_applied(
                "SELECT event_id::text FROM notifications_inbox WHERE event_id = ANY ($1::uuid[])",
                false,
            )
            .await?;
            let statement = "SELECT extract(epoch FROM clock_timestamp() AT TIME ZONE 'UTC' - min(created_at))::float8
                             FROM emails WHERE state IN ('queued', 'sending')";
            sqlx::query_scalar::<_, Option<f64>>(statement)
                .fetch_one(self.monolith.get().await?)
                .await?
        };
        let published = self.unpublished().await?;
        let events = self.unapplied.values().map(|at| at.elapsed().as_secs_f64());
        Ok(events.fold(mails.unwrap_or_default().max(published), f64::max))
    }

    /// How old the oldest event of notifications is that is not published, on whichever side, in seconds.
    async fn unpublished(&mut self) -> Result<f64> {
        let statement =
            "SELECT extract(epoch FROM age)::float8 FROM ficus.relay_lag('notifications')";
        let mut oldest = 0.0_f64;
        for line in [&mut self.monolith, &mut self.service] {
            let age = sqlx::query_scalar::<_, f64>(statement).fetch_one(line.get().await?).await?;
            oldest = oldest.max(age);
        }
        Ok(oldest)
    }

    /// A row whose transaction commits late comes with a low id, so the last ids are read again.
    async fn read_published(&mut self) -> Result<()> {
        let statement =
            "SELECT id, event_id::text, extract(epoch FROM clock_timestamp() - created_at)::float8
                         FROM ficus.outbox WHERE id > $1 AND capability IN ('auth', 'core')";
        let from = self.latest - LATE;
        let rows = sqlx::query(statement).bind(from).fetch_all(self.monolith.get().await?).await?;
        self.known.retain(|_, id| *id > from);
        for row in rows {
            let (id, event): (i64, String) = (row.get(0), row.get(1));
            if self.known.insert(event.clone(), id).is_none() {
                let age = Duration::from_secs_f64(row.get::<f64, _>(2).max(0.0));
                let at = Instant::now().checked_sub(age).unwrap_or_else(Instant::now);
                self.unapplied.insert(event, at);
            }
            self.latest = self.latest.max(id);
        }
        Ok(())
    }

    async fn read_applied(&mut self, statement: &'static str, by_service: bool) -> Result<()> {
        let ids: Vec<String> = self.unapplied.keys().cloned().collect();
        if ids.is_empty() {
            return Ok(());
        }
        let line = if by_service { &mut self.service } else { &mut self.monolith };
        let applied = sqlx::query_scalar::<_, String>(statement).bind(ids);
        for id in applied.fetch_all(line.get().await?).await? {
            self.unapplied.remove(&id);
        }
        Ok(())
    }

    fn hang_up(&mut self) {
        for line in [&mut self.monolith, &mut self.service, &mut self.control] {
            line.open = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Sample, caught_up};

    fn found(behind: &[f64]) -> Option<u64> {
        let samples: Vec<_> = (10..)
            .zip(behind)
            .map(|(second, age)| Sample { at: Duration::from_secs(second), behind: Some(*age) })
            .collect();
        caught_up(samples.iter(), Duration::from_secs(10)).map(|at| at.as_secs())
    }

    #[test]
    fn work_that_was_left_undone_is_seen_when_it_has_become_old() {
        assert_eq!(found(&[0.1, 0.1, 0.1]), Some(10), "nothing was");
        assert_eq!(found(&[1.0, 2.0, 3.0, 4.0, 0.1]), Some(14));
        assert_eq!(found(&[3.0, 0.1, 0.1]), Some(11));
        assert_eq!(found(&[0.1, 0.1]), None, "too early to know");
    }
}
