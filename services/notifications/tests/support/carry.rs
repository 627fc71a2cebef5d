//! Rows from one database to the other through the move folder's views, in COPY's text form.

use std::collections::BTreeMap;
use std::path::Path;

use ficus_mover::{Definition, Direction};
use ficus_pg::Pool;
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgPoolCopyExt;
use tokio_stream::StreamExt;

/// The move folder.
pub fn definition() -> Definition {
    Definition::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("move")).unwrap()
}

/// Copies the monolith's rows into the service's empty tables.
pub async fn carry(monolith: &Pool, service: &Pool) {
    let definition = definition();
    create_views(monolith, &definition, Direction::Forward).await;
    for table in definition.tables(Direction::Forward) {
        let columns = columns(service, &table.table).await;
        let rows = copy_out(monolith, &format!("ficus.{}", table.table), &columns).await;
        copy_in(service, &table.table, &columns, &rows).await;
    }
}

/// Makes a direction's projections views, as the mover does.
pub async fn create_views(pool: &Pool, definition: &Definition, direction: Direction) {
    for table in definition.tables(direction) {
        let view = format!("CREATE VIEW ficus.{} AS {}", table.table, table.projection);
        sqlx::raw_sql(AssertSqlSafe(view)).execute(pool).await.unwrap();
    }
}

/// A table's or view's columns and their types.
pub async fn types(pool: &Pool, schema: &str, table: &str) -> BTreeMap<String, String> {
    let rows: Vec<(String, String)> = sqlx::query_as(
        "SELECT attname::text, format_type(atttypid, atttypmod)
         FROM pg_attribute
         WHERE attrelid = format('%I.%I', $1::text, $2::text)::regclass
           AND attnum > 0 AND NOT attisdropped",
    )
    .bind(schema)
    .bind(table)
    .fetch_all(pool)
    .await
    .unwrap();
    rows.into_iter().collect()
}

/// A table's columns, separated by commas.
pub async fn columns(pool: &Pool, table: &str) -> String {
    let columns: Vec<String> = types(pool, "public", table).await.into_keys().collect();
    columns.join(", ")
}

/// The rows, in order.
pub async fn copy_out(pool: &Pool, from: &str, columns: &str) -> Vec<String> {
    let statement = format!("COPY (SELECT {columns} FROM {from}) TO STDOUT");
    let mut stream = pool.copy_out_raw(&statement).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk.unwrap());
    }
    let text = String::from_utf8(bytes).unwrap();
    let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
    rows.sort();
    rows
}

async fn copy_in(pool: &Pool, table: &str, columns: &str, rows: &[String]) {
    let statement = format!("COPY public.{table} ({columns}) FROM STDIN");
    let mut copy = pool.copy_in_raw(&statement).await.unwrap();
    let text: String = rows.iter().flat_map(|row| [row, "\n"]).collect();
    copy.send(text.into_bytes()).await.unwrap();
    copy.finish().await.unwrap();
}
