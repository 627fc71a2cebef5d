//! Rows that are odd in every way survive the move folder's views, from the monolith's tables to the
//! service's and back.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;

use ficus_mover::{Definition, Direction};
use sqlx::postgres::PgPoolCopyExt;
use sqlx::{AssertSqlSafe, PgPool};
use support::{monolith_database, service_database};
use tokio_stream::StreamExt;

fn definition() -> Definition {
    Definition::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("move")).unwrap()
}

#[tokio::test]
async fn every_row_comes_back_as_it_was() {
    let (monolith, service) = (monolith_database().await, service_database().await);
    let (monolith, service) = (monolith.pool().await, service.pool().await);
    let definition = definition();
    create_views(&monolith, &definition, Direction::Forward).await;
    create_views(&service, &definition, Direction::Reverse).await;
    sqlx::raw_sql(include_str!("odd_rows.sql")).execute(&monolith).await.unwrap();

    for table in definition.tables(Direction::Forward) {
        let columns = columns(&service, &table.table).await;
        let rows = copy_out(&monolith, &format!("ficus.{}", table.table), &columns).await;
        assert!(!rows.is_empty(), "there is no odd row for {}", table.table);
        copy_in(&service, &table.table, &columns, &rows).await;
    }
    for table in definition.tables(Direction::Reverse) {
        let columns = columns(&monolith, &table.table).await;
        let before = copy_out(&monolith, &format!("public.{}", table.table), &columns).await;
        let after = copy_out(&service, &format!("ficus.{}", table.table), &columns).await;
        assert_eq!(before, after, "{}", table.table);
    }
}

#[tokio::test]
async fn views_have_their_target_tables_columns_and_types() {
    let (monolith, service) = (monolith_database().await, service_database().await);
    let (monolith, service) = (monolith.pool().await, service.pool().await);
    let definition = definition();
    create_views(&monolith, &definition, Direction::Forward).await;
    create_views(&service, &definition, Direction::Reverse).await;

    let sides =
        [(Direction::Forward, &monolith, &service), (Direction::Reverse, &service, &monolith)];
    for (direction, source, target) in sides {
        for table in definition.tables(direction) {
            let view = types(source, "ficus", &table.table).await;
            let mut wanted = types(target, "public", &table.table).await;
            // Enums exist in the service's database only; the mover casts.
            for kind in
                wanted.values_mut().filter(|kind| ["kind", "delivery_state"].contains(&&***kind))
            {
                "text".clone_into(kind);
            }
            assert_eq!(view, wanted, "{}", table.table);
        }
    }
}

async fn create_views(pool: &PgPool, definition: &Definition, direction: Direction) {
    for table in definition.tables(direction) {
        let view = format!("CREATE VIEW ficus.{} AS {}", table.table, table.projection);
        sqlx::raw_sql(AssertSqlSafe(view)).execute(pool).await.unwrap();
    }
}

async fn types(pool: &PgPool, schema: &str, table: &str) -> BTreeMap<String, String> {
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

async fn columns(pool: &PgPool, table: &str) -> String {
    let columns: Vec<String> = types(pool, "public", table).await.into_keys().collect();
    columns.join(", ")
}

/// The rows in COPY's text form, in order.
async fn copy_out(pool: &PgPool, from: &str, columns: &str) -> Vec<String> {
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

async fn copy_in(pool: &PgPool, table: &str, columns: &str, rows: &[String]) {
    let statement = format!("COPY public.{table} ({columns}) FROM STDIN");
    let mut copy = pool.copy_in_raw(&statement).await.unwrap();
    let text: String = rows.iter().flat_map(|row| [row, "\n"]).collect();
    copy.send(text.into_bytes()).await.unwrap();
    copy.finish().await.unwrap();
}
