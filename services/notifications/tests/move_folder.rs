//! Rows that are odd in every way survive the move folder's views, from the monolith's tables to the
//! service's and back.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use ficus_mover::Direction;
use support::{
    carry, columns, copy_out, create_views, definition, monolith_database, service_database, types,
};

#[tokio::test]
async fn every_row_comes_back_as_it_was() {
    let (monolith, service) = (monolith_database().await, service_database().await);
    let (monolith, service) = (monolith.pool().await, service.pool().await);
    let definition = definition();
    create_views(&service, &definition, Direction::Reverse).await;
    sqlx::raw_sql(include_str!("odd_rows.sql")).execute(&monolith).await.unwrap();

    carry(&monolith, &service).await;
    for table in definition.tables(Direction::Forward) {
        let columns = columns(&service, &table.table).await;
        let rows = copy_out(&service, &table.table, &columns).await;
        assert!(!rows.is_empty(), "there is no odd row for {}", table.table);
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
