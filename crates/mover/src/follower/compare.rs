//! Comparing both sides at one snapshot: chunk by chunk once, and again what was changed since.

use std::collections::BTreeSet;

use sqlx::PgConnection;

use crate::sql;

use super::{
    Follower, Verdict,
    cursor::{Position, Verify},
    read::{Reader, Source, Wants, moved},
    rows::{Covers, Row, Values},
};

/// Keys and hashes of the source at the round's snapshot, to be held against the target.
#[derive(Debug)]
pub(super) struct Compared {
    pub shape: usize,
    keys: Vec<Row>,
    hashes: Vec<i64>,
    what: What,
}

#[derive(Debug)]
enum What {
    /// The next rows in the order of the key; with the last ones, how many the source has in all.
    Chunk {
        position: Position,
        all: Option<i64>,
    },
    Covers(BTreeSet<Covers>),
}

/// At most this many differing keys are named.
const NAMED: usize = 10;

impl Reader<'_> {
    /// Reads what this round is to compare: covers again, then chunks.
    pub(super) async fn read_hashes(
        self,
        wants: &Wants,
        source: &mut Source,
        connection: &mut PgConnection,
    ) -> sqlx::Result<()> {
        let mut again = source.again.clone();
        if wants.sequences {
            again.extend(&std::mem::take(&mut source.dirtied));
        }
        for (place, shape) in self.follower.shapes.iter().enumerate() {
            if let Some(covers) = again.of(&shape.table, false) {
                let statement = sql::hashes_of_covers(&shape.source, &shape.key, &shape.covers);
                let values = Values::default().covers(covers, shape.covers.len())?;
                let (keys, hashes) =
                    values.fetch_hashes(statement, connection).await?.into_iter().unzip();
                let what = What::Covers(covers.clone());
                source.compared.push(Compared { shape: place, keys, hashes, what });
            }
        }
        source.again = again;
        self.read_hash_chunks(wants.chunks, source, connection).await
    }

    async fn read_hash_chunks(
        self,
        chunks: u32,
        source: &mut Source,
        connection: &mut PgConnection,
    ) -> sqlx::Result<()> {
        let mut positions = self.cursor.verify.tables.clone();
        for _ in 0..chunks {
            let next = self
                .follower
                .shapes
                .iter()
                .position(|s| !positions.get(&s.table).is_some_and(|p| p.done));
            let (Some(place), true) = (next, self.cursor.copy.done) else {
                return Ok(());
            };
            let shape = &self.follower.shapes[place];
            let before = positions.entry(shape.table.clone()).or_default();
            let begun = std::time::Instant::now();
            let limit = self.follower.pace.chunk_rows();
            let statement = sql::hashes_of_chunk(&shape.source, &shape.key, before.after.is_some());
            let values =
                Values::default().add(limit)?.key(before.after.as_deref().unwrap_or_default())?;
            let (keys, hashes): (Vec<Row>, Vec<i64>) =
                values.fetch_hashes(statement, connection).await?.into_iter().unzip();
            *before = moved(before, keys.last().cloned(), keys.len(), limit);
            let position = before.clone();
            source.chunks_took.push(begun.elapsed());
            let all = if position.done {
                Some(
                    sqlx::query_scalar(sql::count(&shape.source))
                        .fetch_one(&mut *connection)
                        .await?,
                )
            } else {
                None
            };
            let what = What::Chunk { position, all };
            source.compared.push(Compared { shape: place, keys, hashes, what });
        }
        Ok(())
    }
}

impl Follower {
    /// Holds what was read against the target, which is at the same snapshot. Adds to `verify`; how many rows.
    pub(super) async fn compare(
        &self,
        source: &Source,
        verify: &mut Verify,
        connection: &mut PgConnection,
    ) -> sqlx::Result<u64> {
        let mut rows = 0;
        for compared in &source.compared {
            let shape = &self.shapes[compared.shape];
            rows += compared.keys.len() as u64;
            let values = Values::default().add(compared.hashes.as_slice())?;
            let values = values.rows(&compared.keys, shape.key.len())?;
            let differing = match &compared.what {
                What::Chunk { .. } => {
                    let statement = sql::differing_in_chunk(&shape.target, &shape.key);
                    values.fetch_rows(statement, connection).await?
                }
                What::Covers(covers) => {
                    let statement =
                        sql::differing_in_covers(&shape.target, &shape.key, &shape.covers);
                    let values = values.covers(covers, shape.covers.len())?;
                    values.fetch_rows(statement, connection).await?
                }
            };
            let verdict = &mut verify.verdict;
            note(verdict, &shape.table, &differing);
            if let What::Chunk { position, all } = &compared.what {
                verdict.rows_compared += compared.keys.len() as u64;
                if let Some(all) = all {
                    let there: i64 = sqlx::query_scalar(sql::count(&shape.target))
                        .fetch_one(&mut *connection)
                        .await?;
                    note_count(verdict, &shape.table, *all, there);
                }
                verify.tables.insert(shape.table.clone(), position.clone());
            }
        }
        Ok(rows)
    }

    /// Once every table is through: what triggers would check that do not run for the applier.
    pub(super) async fn conclude(
        &self,
        verify: &mut Verify,
        connection: &mut PgConnection,
    ) -> sqlx::Result<()> {
        let done = |table: &str| verify.tables.get(table).is_some_and(|position| position.done);
        if verify.verdict.whole || !self.shapes.iter().all(|shape| done(&shape.table)) {
            return Ok(());
        }
        let tables: Vec<&str> = self.shapes.iter().map(|shape| shape.table.as_str()).collect();
        for constraint in crate::catalog::unchecked(connection, &tables).await? {
            let broken: i64 =
                sqlx::query_scalar(constraint.statement()).fetch_one(&mut *connection).await?;
            if broken > 0 {
                verify.verdict.rows_differing += u64::try_from(broken).unwrap_or_default();
                name(
                    &mut verify.verdict,
                    format!("{} breaks {}", constraint.child, constraint.name),
                );
            }
        }
        verify.verdict.whole = true;
        Ok(())
    }
}

fn note(verdict: &mut Verdict, table: &str, differing: &[Row]) {
    verdict.rows_differing += differing.len() as u64;
    for key in differing.iter().take(NAMED) {
        let key: Vec<&str> = key.iter().map(|part| part.as_deref().unwrap_or("null")).collect();
        name(verdict, format!("{table} {}", key.join(",")));
    }
}

/// Every row of the source was held against the target's: what is left are rows that only the target has.
fn note_count(verdict: &mut Verdict, table: &str, here: i64, there: i64) {
    let more = there - here;
    if more != 0 {
        verdict.rows_differing += more.unsigned_abs();
        name(verdict, format!("{table}: {more} rows more than the source"));
    }
}

fn name(verdict: &mut Verdict, text: String) {
    if verdict.differing.len() < NAMED {
        verdict.differing.push(text);
    }
}
