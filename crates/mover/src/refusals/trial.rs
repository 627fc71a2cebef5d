//! The way there and back, tried on up to 1,000 rows of every table and rolled back: a row of the monolith that
//! the service does not give back as it was would be lost by a reverse.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::PgConnection;

use crate::{
    Direction, Error, Mover, Refusal, Result,
    catalog::{Shape, describe},
    database::{Database, sqlstate},
    follower::{
        inverse::first_difference,
        rows::{Covers, Row, Values},
        write::insert,
    },
    sql,
};

const SAMPLE: i64 = 1_000;

/// Rows of one of the source's own tables.
pub(crate) struct Sampled {
    pub covers: BTreeSet<Covers>,
    pub rows: Vec<Row>,
}

impl Mover {
    pub(super) async fn trial(&self) -> Result<Vec<Refusal>> {
        let (monolith, service) = (&self.inner.monolith, &self.inner.service);
        let there =
            ficus_pg::begin_with(&monolith.follow, "BEGIN ISOLATION LEVEL REPEATABLE READ").await;
        let mut there = there.map_err(|e| monolith.error(e))?;
        let mut back = service.apply().await?;
        let forward = self.trial_shapes(Direction::Forward, &mut there, &mut back).await?;
        let reverse = self.trial_shapes(Direction::Reverse, &mut back, &mut there).await?;
        let samples = monolith.ask_much(samples(&reverse, &mut there)).await?;
        for shape in &forward {
            let covers = led_to(shape, &reverse, &samples);
            let rows = rows_of(&shape.source, &shape.covers, &covers, &mut there);
            let rows = monolith.ask_much(rows).await?;
            if let Some(refusal) = carry(shape, &rows, &mut back, service).await? {
                return Ok(vec![refusal]);
            }
        }
        let mut found = Vec::new();
        for (shape, sample) in reverse.iter().zip(&samples) {
            let given = rows_of(&shape.source, &shape.covers, &sample.covers, &mut back);
            if let Some(row) = first_difference(&sample.rows, service.ask_much(given).await?) {
                let reason = format!(
                    "row {} does not survive the way to the service and back",
                    shape.key_of(&row)
                );
                found.push(Refusal::new(&shape.table, reason, "mend the projections, or the row"));
            }
        }
        Ok(found)
    }

    async fn trial_shapes(
        &self,
        direction: Direction,
        source: &mut PgConnection,
        target: &mut PgConnection,
    ) -> Result<Vec<Shape>> {
        let (at_source, at_target) =
            (self.database(direction.source()), self.database(direction.target()));
        let mut shapes = Vec::new();
        for table in self.inner.definition.tables(direction) {
            let capability = &self.inner.capability;
            let view = sql::trial_view(capability, &table.table);
            let create = sql::create_trial_view(capability, &table.table, &table.projection);
            at_source.ask_much(sqlx::query(create).execute(&mut *source)).await?;
            let from = at_source.ask_much(describe(source, &view)).await?;
            let into = at_target.ask_much(describe(target, &sql::table(&table.table))).await?;
            shapes.push(Shape::new(table, &view, &from, &into).map_err(Error::Definition)?);
        }
        Ok(shapes)
    }
}

/// Some rows of each of the monolith's tables, and all that share their covers.
async fn samples(reverse: &[Shape], connection: &mut PgConnection) -> sqlx::Result<Vec<Sampled>> {
    let mut all = Vec::new();
    for shape in reverse {
        let some = Values::default().add(SAMPLE)?;
        let some = some.fetch_rows(sql::sample(&shape.target), connection).await?;
        all.push(sharing_covers(shape, &some, connection).await?);
    }
    Ok(all)
}

/// All rows of the source's own table that share the covers of these; `shape` is one of the way back.
pub(crate) async fn sharing_covers(
    shape: &Shape,
    some: &[Row],
    connection: &mut PgConnection,
) -> sqlx::Result<Sampled> {
    let covers = some.iter().filter_map(|row| pick(row, &shape.covers)).collect();
    let rows = rows_of(&shape.target, &shape.covers, &covers, connection).await?;
    Ok(Sampled { covers, rows })
}

fn pick(row: &Row, columns: &[usize]) -> Option<Covers> {
    columns.iter().map(|&i| row[i].clone()).collect()
}

/// The covers of a target table that the sampled rows lead to.
pub(crate) fn led_to(shape: &Shape, reverse: &[Shape], samples: &[Sampled]) -> BTreeSet<Covers> {
    let by_table: BTreeMap<&str, (&Shape, &Sampled)> =
        reverse.iter().zip(samples).map(|(s, sample)| (s.table.as_str(), (s, sample))).collect();
    let each = shape.from.iter().filter_map(|(table, columns)| {
        let (from, sample) = by_table.get(table.as_str())?;
        let columns: Vec<usize> = columns.iter().map(|c| from.column(c)).collect::<Option<_>>()?;
        Some(sample.rows.iter().filter_map(move |row| pick(row, &columns)))
    });
    each.flatten().collect()
}

pub(crate) async fn rows_of(
    relation: &sql::Relation,
    columns: &[usize],
    covers: &BTreeSet<Covers>,
    connection: &mut PgConnection,
) -> sqlx::Result<Vec<Row>> {
    let values = Values::default().covers(covers, columns.len())?;
    values.fetch_rows(sql::rows_of_covers(relation, columns), connection).await
}

async fn carry(
    shape: &Shape,
    rows: &[Row],
    back: &mut PgConnection,
    service: &Database,
) -> Result<Option<Refusal>> {
    let refused = |error: &sqlx::Error| {
        sqlstate(error).is_some_and(|state| state.starts_with("22") || state.starts_with("23"))
    };
    match service.ask_much(insert(shape, rows, false, back)).await {
        Ok(_) => Ok(None),
        Err(Error::Database { source, .. }) if refused(&source) => {
            let reason = format!("the service cannot hold a row: {source}");
            Ok(Some(Refusal::new(
                &shape.table,
                reason,
                "mend the row, the projection or the constraint",
            )))
        }
        Err(error) => Err(error),
    }
}
