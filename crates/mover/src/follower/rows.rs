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

/// Rows in COPY's text format (<https://www.postgresql.org/docs/15/sql-copy.html>).
pub(crate) fn copy_text(rows: &[Row]) -> Vec<u8> {
    let mut text = Vec::new();
    for row in rows {
        for (place, value) in row.iter().enumerate() {
            if place > 0 {
                text.push(b'\t');
            }
            match value {
                Some(value) => escape(value, &mut text),
                None => text.extend_from_slice(b"\\N"),
            }
        }
        text.push(b'\n');
    }
    text
}

fn escape(value: &str, text: &mut Vec<u8>) {
    for &byte in value.as_bytes() {
        match byte {
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'\t' => text.extend_from_slice(b"\\t"),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            _ => text.push(byte),
        }
    }
}

/// A key that is not null in any part, as text.
pub(crate) fn key_text(row: &Row) -> Vec<String> {
    row.iter().map(|part| part.clone().unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_a_value_a_row_or_the_copy_is_escaped() {
        let text = |text: &str| Some(text.to_owned());
        let rows =
            [vec![text("a\tb"), None, text("")], vec![text("\\."), text("c\r\nd"), text("\\N")]];
        let written = String::from_utf8(copy_text(&rows)).unwrap_or_default();
        assert_eq!(written, "a\\tb\t\\N\t\n\\\\.\tc\\r\\nd\t\\\\N\n");
    }
}
