//! What was changed since it was compared: a table in the target, written with each page, and its copy here.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, types::Json};

use crate::{Direction, Mover, Result};

use super::rows::Covers;

/// How many covers one round compares again at most; a drain compares all.
pub(crate) const COMPARED_AT_ONCE: usize = 5_000;

/// Which comparison a cover waits for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub table: String,
    /// Rows of the source's table against what the target gives back for them.
    pub inverse: bool,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Pending(BTreeMap<Place, BTreeSet<Covers>>);

impl Pending {
    pub async fn load(mover: &Mover, direction: Direction) -> Result<Self> {
        let target = mover.database(direction.target());
        let rows = sqlx::query_as(
            "SELECT tbl, inverse, covers FROM ficus.reverify WHERE capability = $1 AND direction = $2",
        )
        .bind(&mover.inner.capability)
        .bind(direction.as_str())
        .fetch_all(&target.follow);
        let rows: Vec<(String, bool, Json<Covers>)> = target.ask_much(rows).await?;
        let mut pending = Self::default();
        for (table, inverse, Json(covers)) in rows {
            pending.add(Place { table, inverse }, covers);
        }
        Ok(pending)
    }

    pub fn len(&self) -> u64 {
        self.0.values().map(|covers| covers.len() as u64).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn add(&mut self, place: Place, covers: Covers) {
        self.0.entry(place).or_default().insert(covers);
    }

    /// Up to `most` of them.
    pub fn first(&self, most: usize) -> Self {
        let mut first = Self::default();
        let each = self.0.iter().flat_map(|(place, all)| all.iter().map(move |c| (place, c)));
        for (place, covers) in each.take(most) {
            first.add(place.clone(), covers.clone());
        }
        first
    }

    pub fn of(&self, table: &str, inverse: bool) -> Option<&BTreeSet<Covers>> {
        self.0.get(&Place { table: table.to_owned(), inverse })
    }

    pub fn extend(&mut self, other: &Self) {
        for (place, covers) in &other.0 {
            self.0.entry(place.clone()).or_default().extend(covers.iter().cloned());
        }
    }

    pub fn remove(&mut self, other: &Self) {
        for (place, covers) in &other.0 {
            if let Some(mine) = self.0.get_mut(place) {
                mine.retain(|c| !covers.contains(c));
            }
        }
        self.0.retain(|_, covers| !covers.is_empty());
    }

    /// Writes that these were compared and those are to be.
    pub async fn store(
        mover: &Mover,
        direction: Direction,
        connection: &mut PgConnection,
        compared: &Self,
        changed: &Self,
    ) -> sqlx::Result<()> {
        const COMPARED: &str = "DELETE FROM ficus.reverify AS r
            USING jsonb_to_recordset($3) AS d(tbl text, inverse boolean, covers jsonb)
            WHERE r.capability = $1 AND r.direction = $2
              AND r.tbl = d.tbl AND r.inverse = d.inverse AND r.covers = d.covers";
        const CHANGED: &str =
            "INSERT INTO ficus.reverify (capability, direction, tbl, inverse, covers)
            SELECT $1, $2, d.tbl, d.inverse, d.covers
            FROM jsonb_to_recordset($3) AS d(tbl text, inverse boolean, covers jsonb)
            ON CONFLICT DO NOTHING";
        for (text, what) in [(COMPARED, compared), (CHANGED, changed)] {
            if !what.is_empty() {
                sqlx::query(text)
                    .bind(&mover.inner.capability)
                    .bind(direction.as_str())
                    .bind(what.records())
                    .execute(&mut *connection)
                    .await?;
            }
        }
        Ok(())
    }

    fn records(&self) -> serde_json::Value {
        let each = self.0.iter().flat_map(|(place, all)| {
            all.iter().map(move |covers| {
                serde_json::json!({ "tbl": place.table, "inverse": place.inverse, "covers": covers })
            })
        });
        each.collect()
    }
}
