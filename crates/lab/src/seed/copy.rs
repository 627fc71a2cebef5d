//! Rows in COPY's text format, sent in chunks while they are written.

use std::fmt::{Display, Write as _};

use anyhow::{Context as _, Result};
use sqlx::PgPool;
use sqlx::postgres::PgPoolCopyExt as _;

const CHUNK: usize = 1 << 20;

/// One COPY that is under way.
pub struct Copy {
    sink: sqlx::postgres::PgCopyIn<sqlx::pool::PoolConnection<sqlx::Postgres>>,
    text: String,
    rows: u64,
}

impl Copy {
    /// Begins to fill columns of a table, as `users (id, email)`. The pool's sessions are replicas: what is
    /// seeded is consistent, and checking half a million rows against each other takes longer than the rest.
    pub async fn into(pool: &PgPool, table: &str) -> Result<Self> {
        let sink = pool
            .copy_in_raw(&format!("COPY {table} FROM STDIN"))
            .await
            .with_context(|| format!("failed to copy into {table}"))?;
        Ok(Self { sink, text: String::with_capacity(CHUNK + 4096), rows: 0 })
    }

    /// Adds a row. Texts must not hold tabs, line ends or backslashes, or be escaped by the caller.
    pub async fn row(&mut self, values: &[&(dyn Display + Sync)]) -> Result<()> {
        for (number, value) in values.iter().enumerate() {
            let separator = if number == 0 { "" } else { "\t" };
            write!(self.text, "{separator}{value}").context("failed to format a row")?;
        }
        self.text.push('\n');
        self.rows += 1;
        if self.text.len() >= CHUNK {
            self.sink.send(self.text.as_bytes()).await?;
            self.text.clear();
        }
        Ok(())
    }

    /// Ends it; answers how many rows there were.
    pub async fn finish(mut self) -> Result<u64> {
        self.sink.send(self.text.as_bytes()).await?;
        self.sink.finish().await?;
        Ok(self.rows)
    }
}

/// A value that may be absent.
pub struct Maybe<T>(pub Option<T>);

impl<T: Display> Display for Maybe<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("\\N"),
        }
    }
}
