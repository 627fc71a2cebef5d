//! What the catalogue says of tables and views: how rows of one side become rows of the other.

use std::collections::BTreeMap;

use sqlx::PgConnection;

use crate::{
    Direction, Error, Mover, Result,
    definition::Table,
    sql::{self, Relation},
};

/// One target table of a direction and the view of its rows.
#[derive(Debug)]
pub(crate) struct Shape {
    pub table: String,
    /// The view, in the source.
    pub source: Relation,
    /// The table, in the target; the same columns in the same order.
    pub target: Relation,
    pub key: Vec<usize>,
    pub covers: Vec<usize>,
    pub covers_names: Vec<String>,
    /// Captured table → its columns that give `covers`.
    pub from: BTreeMap<String, Vec<String>>,
}

/// A column, as the catalogue describes it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(crate) struct Described {
    pub name: String,
    pub type_name: String,
    /// -1 if none.
    pub modifier: i32,
    /// Of a type that the system does not come with, as an enum.
    pub own_type: bool,
    pub generated: bool,
}

/// The columns of a table or view, in order; empty if it is not there. `name` is qualified and quoted.
pub(crate) async fn describe(
    connection: &mut PgConnection,
    name: &str,
) -> sqlx::Result<Vec<Described>> {
    sqlx::query_as(
        "SELECT a.attname::text AS name, format_type(a.atttypid, -1) AS type_name, a.atttypmod AS modifier,
                t.typnamespace <> 'pg_catalog'::regnamespace AS own_type, a.attgenerated <> '' AS generated
         FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
         WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
         ORDER BY a.attnum",
    )
    .bind(name)
    .fetch_all(connection)
    .await
}

impl Mover {
    /// Every target table of a direction; the views must be there.
    pub(crate) async fn shapes(&self, direction: Direction) -> Result<Vec<Shape>> {
        let (source, target) =
            (self.database(direction.source()), self.database(direction.target()));
        let mut at_source = source.follow.acquire().await.map_err(|e| source.error(e))?;
        let mut at_target = target.follow.acquire().await.map_err(|e| target.error(e))?;
        let mut shapes = Vec::new();
        for table in self.inner.definition.tables(direction) {
            let view = sql::view(&self.inner.capability, &table.table);
            let from = source.ask(describe(&mut at_source, &view)).await?;
            let name = sql::table(&table.table);
            let into = target.ask(describe(&mut at_target, &name)).await?;
            shapes.push(Shape::new(table, &view, &from, &into).map_err(Error::Definition)?);
        }
        Ok(shapes)
    }
}

impl Shape {
    /// Matches a view with its target table, or says what does not match.
    pub fn new(
        table: &Table,
        view: &str,
        from: &[Described],
        into: &[Described],
    ) -> Result<Self, String> {
        let wrong = |what: String| format!("{}: {what}", table.table);
        if into.is_empty() {
            return Err(wrong("there is no such table".to_owned()));
        }
        if let Some(extra) = from.iter().find(|f| !into.iter().any(|i| i.name == f.name)) {
            return Err(wrong(format!("the projection has a column {} too many", extra.name)));
        }
        let mut types = Vec::new();
        for column in into {
            let given = from.iter().find(|f| f.name == column.name);
            let given =
                given.ok_or_else(|| wrong(format!("the projection lacks {}", column.name)))?;
            matches(given, column).map_err(wrong)?;
            types.push(given.type_name.clone());
        }
        let columns: Vec<String> = into.iter().map(|c| sql::ident(&c.name)).collect();
        let position = |name: &String| {
            into.iter()
                .position(|c| c.name == *name)
                .ok_or_else(|| wrong(format!("there is no column {name}")))
        };
        Ok(Self {
            table: table.table.clone(),
            source: Relation { name: view.to_owned(), columns: columns.clone(), types },
            target: Relation {
                name: sql::table(&table.table),
                columns,
                types: into.iter().map(|c| c.type_name.clone()).collect(),
            },
            key: table.key.iter().map(position).collect::<Result<_, _>>()?,
            covers: table.covers.iter().map(position).collect::<Result<_, _>>()?,
            covers_names: table.covers.clone(),
            from: table.from.clone(),
        })
    }

    /// The place of a column.
    pub fn column(&self, name: &str) -> Option<usize> {
        let quoted = sql::ident(name);
        self.target.columns.iter().position(|column| *column == quoted)
    }

    /// The key of a whole row.
    pub fn key_parts(&self, row: &[Option<String>]) -> Vec<Option<String>> {
        self.key.iter().map(|&i| row[i].clone()).collect()
    }

    /// The key of a row, for people.
    pub fn key_of(&self, row: &[Option<String>]) -> String {
        let parts = self.key.iter().map(|&i| row[i].as_deref().unwrap_or("null"));
        parts.collect::<Vec<_>>().join(",")
    }
}

/// Types must be the same, but for a type of the target's own, as an enum, which takes text.
fn matches(given: &Described, column: &Described) -> Result<(), String> {
    let name = &column.name;
    if column.generated {
        return Err(format!("{name} is a generated column"));
    }
    let same = given.type_name == column.type_name
        && (given.modifier == column.modifier || given.modifier == -1);
    let text_for_own = column.own_type && given.type_name == "text";
    if same || text_for_own {
        Ok(())
    } else {
        Err(format!(
            "{name} is {} in the projection and {} in the table",
            given.type_name, column.type_name
        ))
    }
}

/// A constraint that nothing checks while the applier writes: foreign keys and what is deferrable are triggers'.
#[derive(Debug, sqlx::FromRow)]
pub(crate) struct Unchecked {
    pub name: String,
    pub child: String,
    /// None: a unique constraint.
    parent: Option<String>,
    columns: Vec<String>,
    parent_columns: Option<Vec<String>>,
}

impl Unchecked {
    /// Counts what breaks it.
    pub fn statement(&self) -> sql::Sql {
        match (&self.parent, &self.parent_columns) {
            (Some(parent), Some(theirs)) => {
                let pairs: Vec<(String, String)> =
                    self.columns.iter().cloned().zip(theirs.iter().cloned()).collect();
                sql::orphans(&self.child, parent, &pairs)
            }
            _ => sql::duplicates(&self.child, &self.columns),
        }
    }
}

/// Those of these tables.
pub(crate) async fn unchecked(
    connection: &mut PgConnection,
    tables: &[&str],
) -> sqlx::Result<Vec<Unchecked>> {
    sqlx::query_as(
        "SELECT k.conname::text AS name, c.relname::text AS child, p.relname::text AS parent,
                (SELECT array_agg(a.attname::text ORDER BY n.place)
                 FROM unnest(k.conkey) WITH ORDINALITY AS n(number, place)
                 JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = n.number) AS columns,
                (SELECT array_agg(a.attname::text ORDER BY n.place)
                 FROM unnest(k.confkey) WITH ORDINALITY AS n(number, place)
                 JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = n.number) AS parent_columns
         FROM pg_constraint AS k
         JOIN pg_class AS c ON c.oid = k.conrelid
         LEFT JOIN pg_class AS p ON p.oid = k.confrelid
         WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY ($1)
           AND (k.contype = 'f' OR k.contype IN ('u', 'p') AND k.condeferrable)
         ORDER BY 2, 1",
    )
    .bind(tables)
    .fetch_all(connection)
    .await
}
