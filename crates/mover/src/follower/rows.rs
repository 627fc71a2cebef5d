//! Rows as they travel, and how they are bound to statements.

use std::collections::BTreeSet;

use sqlx::{Arguments, Encode, PgConnection, Postgres, Type, postgres::PgArguments};

use crate::sql::Sql;

/// A row: each column as text.
pub(crate) type Row = Vec<Option<String>>;

/// The values of a table's covering columns, as text.
pub(crate) type Covers = Vec<String>;

/// The parameters of one of the statements of `sql.rs`, in order.
#[derive(Default)]
pub(crate) struct Values(PgArguments);

impl Values {
    pub fn add<'v, T: Encode<'v, Postgres> + Type<Postgres>>(
        mut self,
        value: T,
    ) -> sqlx::Result<Self> {
        self.0.add(value).map_err(sqlx::Error::Encode)?;
        Ok(self)
    }

    /// Column by column, each an array.
    pub fn rows(self, rows: &[Row], width: usize) -> sqlx::Result<Self> {
        (0..width).try_fold(self, |values, i| {
            values.add(rows.iter().map(|row| row[i].as_deref()).collect::<Vec<_>>())
        })
    }

    /// Column by column, each an array.
    pub fn covers(self, covers: &BTreeSet<Covers>, width: usize) -> sqlx::Result<Self> {
        (0..width).try_fold(self, |values, i| {
            values.add(covers.iter().map(|c| c[i].as_str()).collect::<Vec<_>>())
        })
    }

    /// Value by value.
    pub fn key(self, key: &[String]) -> sqlx::Result<Self> {
        key.iter().try_fold(self, |values, part| values.add(part.as_str()))
    }

    pub async fn execute(self, sql: Sql, connection: &mut PgConnection) -> sqlx::Result<u64> {
        Ok(sqlx::query_with(sql, self.0).execute(connection).await?.rows_affected())
    }

    pub async fn fetch_rows(
        self,
        sql: Sql,
        connection: &mut PgConnection,
    ) -> sqlx::Result<Vec<Row>> {
        sqlx::query_scalar_with(sql, self.0).fetch_all(connection).await
    }

    /// Keys and hashes.
    pub async fn fetch_hashes(
        self,
        sql: Sql,
        connection: &mut PgConnection,
    ) -> sqlx::Result<Vec<(Row, i64)>> {
        sqlx::query_as_with(sql, self.0).fetch_all(connection).await
    }
}

/// A key that is not null in any part, as text.
pub(crate) fn key_text(row: &Row) -> Vec<String> {
    row.iter().map(|part| part.clone().unwrap_or_default()).collect()
}
