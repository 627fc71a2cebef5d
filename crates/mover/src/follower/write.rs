//! The target's half of a page: one transaction, the cursor's compare-and-swap first.

use ficus_pg::Session;
use sqlx::PgConnection;
use tokio::time::timeout;

use crate::{Error, Result, Side, catalog::Shape, database::sqlstate, sql};

use super::{
    Follower, SILENCE,
    cursor::{Cursor, PageMark, lost},
    pending::Pending,
    read::{Changed, Source},
    rows::{Row, Values, copy_text},
};

/// Why a page was not applied; nothing of it is there.
#[derive(Debug)]
pub(super) enum Failed {
    /// Two rows share what must be unique.
    Unique(RowFailure),
    /// The target refuses a row of this table.
    Row(RowFailure),
    Other(Error),
}

#[derive(Debug)]
pub(super) struct RowFailure {
    /// Its place among the shapes.
    pub shape: usize,
    pub error: sqlx::Error,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Follower {
    /// Applies a page and moves the cursor to `next`; where it stands then, and how many rows were compared. The
    /// `attempt` under which it is done must still hold.
    pub(super) async fn write(
        &self,
        source: &Source,
        mut next: Cursor,
        attempt: Option<i64>,
    ) -> Result<(Cursor, u64), Failed> {
        let mover = self.mover.clone();
        let target = mover.database(self.direction.target());
        let of = |e| target.error(e);
        let mut transaction = target.apply_page().await?;
        if let Some(attempt) = attempt {
            begin_step(&mover.inner.capability, attempt, &mut transaction).await.map_err(of)?;
        }
        let swapped = self.cursor.swap(&next, &mover, self.direction, &mut transaction).await;
        if !swapped.map_err(of)? {
            return Err(lost(&mover, self.direction).into());
        }
        self.apply(source, target.side, &mut transaction).await?;
        for copied in &source.copied {
            let loaded = load(&self.shapes[copied.shape], &copied.rows, transaction).await;
            transaction = loaded.map_err(|error| failed(copied.shape, error, target.side))?;
        }
        self.check_back(source, &mut transaction).await?;
        let stored = Pending::store(
            &mover,
            self.direction,
            &mut transaction,
            &source.again,
            &source.dirtied,
        );
        stored.await.map_err(of)?;
        let compared =
            self.compare_and_store(source, &mut next, &mut transaction).await.map_err(of)?;
        self.set_sequences(source, &mut transaction).await.map_err(of)?;
        transaction.commit().await.map_err(of)?;
        Ok((next, compared))
    }

    /// The target has this page, and the cursor stands there.
    pub(super) fn stored(&mut self, source: &Source, cursor: Cursor) {
        self.cursor = cursor;
        self.pending.remove(&source.again);
        self.pending.extend(&source.dirtied);
        self.stored_at = std::time::Instant::now();
    }

    async fn compare_and_store(
        &self,
        source: &Source,
        next: &mut Cursor,
        connection: &mut PgConnection,
    ) -> sqlx::Result<u64> {
        if source.compared.is_empty() {
            return Ok(0);
        }
        let compared = self.compare(source, &mut next.verify, connection).await?;
        self.conclude(&mut next.verify, connection).await?;
        next.store_verify(&self.mover, self.direction, connection).await?;
        Ok(compared)
    }

    /// Deletes go first in every table, so that a value or a key that has changed hands is free.
    async fn apply(
        &self,
        source: &Source,
        side: Side,
        connection: &mut PgConnection,
    ) -> Result<(), Failed> {
        for changed in &source.changed {
            let shape = &self.shapes[changed.shape];
            delete(shape, changed, connection)
                .await
                .map_err(|error| failed(changed.shape, error, side))?;
        }
        for changed in &source.changed {
            insert(&self.shapes[changed.shape], &changed.rows, false, connection)
                .await
                .map_err(|error| failed(changed.shape, error, side))?;
        }
        Ok(())
    }

    /// Finds the row that the target cannot hold, by trying them one by one in a transaction that is rolled back.
    pub(super) async fn explain(&self, failed: Failed, source: &Source) -> Error {
        let failure = match failed {
            Failed::Other(error) => return error,
            Failed::Unique(failure) | Failed::Row(failure) => failure,
        };
        let shape = &self.shapes[failure.shape];
        let key = self.find_culprit(failure.shape, source).await;
        Error::Row {
            table: shape.table.clone(),
            key: key.unwrap_or_else(|| "unknown".to_owned()),
            reason: failure.error.to_string(),
        }
    }

    async fn find_culprit(&self, place: usize, source: &Source) -> Option<String> {
        let shape = &self.shapes[place];
        let target = self.mover.database(self.direction.target());
        let mut transaction = target.apply().await.ok()?;
        let changed = source.changed.iter().filter(|c| c.shape == place);
        let copied = source.copied.iter().filter(|c| c.shape == place);
        for changed in changed.clone() {
            delete(shape, changed, &mut transaction).await.ok()?;
        }
        for row in changed.flat_map(|c| &c.rows).chain(copied.flat_map(|c| &c.rows)) {
            if insert(shape, std::slice::from_ref(row), false, &mut transaction).await.is_err() {
                return Some(shape.key_of(row));
            }
        }
        None
    }
}

impl Cursor {
    /// The cursor after this page; what comparing finds comes later.
    pub(super) fn after(&self, source: &Source, shapes: &[Shape]) -> Self {
        let mut next = self.clone();
        next.version += 1;
        for copied in &source.copied {
            next.copy.rows += copied.rows.len() as u64;
            next.copy.tables.insert(shapes[copied.shape].table.clone(), copied.position.clone());
        }
        let done = |s: &Shape| next.copy.tables.get(&s.table).is_some_and(|p| p.done);
        next.copy.done = next.copy.done || shapes.iter().all(done);
        let round = self.page.as_ref().filter(|_| !source.single);
        let snap = round.map_or(&source.look.snap, |page| &page.snap);
        let at = round.map_or(source.look.at, |page| page.at);
        next.page = None;
        match &source.last {
            Some((xid, id)) if !source.short => {
                next.page = Some(PageMark { snap: snap.clone(), at, xid: xid.clone(), id: *id });
            }
            _ => {
                next.snap.clone_from(snap);
                next.snap_at = at;
            }
        }
        next
    }
}

fn failed(shape: usize, error: sqlx::Error, side: Side) -> Failed {
    let state = sqlstate(&error).unwrap_or_default();
    let failure = RowFailure { shape, error };
    match state.as_str() {
        "23505" | "23P01" => Failed::Unique(failure),
        // Data and integrity: the row is at fault. Everything else may pass.
        _ if state.starts_with("22") || state.starts_with("23") => Failed::Row(failure),
        _ => Failed::Other(Error::Database { side, source: failure.error }),
    }
}

async fn begin_step(
    capability: &str,
    attempt: i64,
    connection: &mut PgConnection,
) -> sqlx::Result<()> {
    sqlx::query("SELECT ficus.begin_step($1, $2)")
        .bind(capability)
        .bind(attempt)
        .execute(connection)
        .await
        .map(drop)
}

/// Inserts a chunk, but for rows that are there: they were changed since the copy began, and are as of this snapshot.
/// COPY cannot leave rows out, so a chunk that has such a row is inserted after all, at twice the price.
async fn load(shape: &Shape, rows: &[Row], transaction: Session) -> sqlx::Result<Session> {
    if rows.is_empty() {
        return Ok(transaction);
    }
    let (mut transaction, copied) = copy(shape, rows, transaction).await?;
    match copied {
        Err(error) if sqlstate(&error).as_deref() == Some("23505") => {
            sqlx::query("ROLLBACK TO SAVEPOINT chunk").execute(&mut *transaction).await?;
            insert(shape, rows, true, &mut transaction).await?;
        }
        copied => copied?,
    }
    Ok(transaction)
}

/// Behind a savepoint, and in a task of its own, which nobody can drop half way: sqlx 0.9 takes the answer to a COPY
/// that nobody waited for as the answer to what the session is asked next. One that takes longer than a page may is ended
/// with its session.
async fn copy(
    shape: &Shape,
    rows: &[Row],
    mut transaction: Session,
) -> sqlx::Result<(Session, sqlx::Result<()>)> {
    let (statement, text) = (sql::copy_in(&shape.target), copy_text(rows));
    let task = tokio::spawn(async move {
        let copied = async {
            sqlx::query("SAVEPOINT chunk").execute(&mut *transaction).await?;
            let mut into = transaction.copy_in_raw(&statement).await?;
            into.send(text).await?;
            into.finish().await.map(drop)
        };
        if let Ok(copied) = timeout(SILENCE, copied).await {
            return Ok((transaction, copied));
        }
        transaction.close();
        Err(sqlx::Error::PoolTimedOut)
    });
    task.await.map_err(|_| sqlx::Error::WorkerCrashed)?
}

async fn delete(
    shape: &Shape,
    changed: &Changed,
    connection: &mut PgConnection,
) -> sqlx::Result<u64> {
    let values = Values::default().covers(&changed.covers, shape.covers.len())?;
    values.execute(sql::delete_covers(&shape.target, &shape.covers), connection).await
}

pub(crate) async fn insert(
    shape: &Shape,
    rows: &[Row],
    keep: bool,
    connection: &mut PgConnection,
) -> sqlx::Result<u64> {
    if rows.is_empty() {
        return Ok(0);
    }
    let statement = sql::insert(&shape.target, keep.then_some(shape.key.as_slice()));
    Values::default().rows(rows, shape.target.columns.len())?.execute(statement, connection).await
}
