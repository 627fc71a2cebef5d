//! A random schedule on tables that have nothing to do with Trellis: composite and text keys, a join projection, rows
//! that change parents, a swap of unique values, deletes, changed keys. `FICUS_SEED` replays one.
#![expect(clippy::unwrap_used, reason = "tests")]

mod support;

use ficus_mover::Side;
use rand::{Rng, rngs::StdRng};
use support::{Library, run};
use trellis_testkit::{noticed, schedule::run_schedule};

fn write(side: Side, rng: &mut StdRng) -> String {
    match side {
        Side::Monolith => monolith_write(rng),
        Side::Service => service_write(rng),
    }
}

fn shelf(rng: &mut StdRng) -> (char, u32) {
    (['a', 'B', 'ß', 'z'][rng.random_range(0..4)], rng.random_range(0..4))
}

fn author(rng: &mut StdRng) -> String {
    format!("{}{}", ['a', 'B', 'Ä', 'z'][rng.random_range(0..4)], rng.random_range(0..3))
}

fn isbn(rng: &mut StdRng) -> String {
    format!("i-{}", rng.random_range(0..40))
}

fn monolith_write(rng: &mut StdRng) -> String {
    let ((area, number), (area2, number2)) = (shelf(rng), shelf(rng));
    let (author, author2, isbn, isbn2) = (author(rng), author(rng), isbn(rng), isbn(rng));
    let n: u32 = rng.random_range(0..1000);
    match rng.random_range(0..15) {
        0 => format!("INSERT INTO shelves VALUES ('{area}', {number}, 'label {n}')"),
        1 | 2 => swap("shelves", (area, number), (area2, number2)),
        3 => format!(
            "UPDATE shelves SET number = {number2} WHERE area = '{area}' AND number = {number}"
        ),
        4 => {
            format!("INSERT INTO authors VALUES ('{author}', 'name {n}', date '1900-01-01' + {n})")
        }
        5 => format!("UPDATE authors SET name = 'renamed {n}' WHERE code = '{author}'"),
        6 => format!("UPDATE authors SET code = '{author2}' WHERE code = '{author}'"),
        7 | 8 => format!(
            "INSERT INTO books VALUES ('{isbn}', '{area}', {number}, '{author}', E'it''s \\\\ \"{n}\"', {n}.5, '{{a,NULL,\"b c\"}}')"
        ),
        9 => format!("UPDATE books SET author = '{author2}', price = NULL WHERE isbn = '{isbn}'"),
        10 => format!(
            "UPDATE books SET isbn = '{isbn2}', area = '{area2}', number = {number2} WHERE isbn = '{isbn}'"
        ),
        11 => format!("DELETE FROM books WHERE isbn IN ('{isbn}', '{isbn2}')"),
        12 => format!(
            "INSERT INTO copies VALUES ('{isbn}', {}, 'in') ON CONFLICT (isbn, nr) DO UPDATE SET state = 'out'",
            n % 3
        ),
        13 => format!(
            "UPDATE copies SET isbn = '{isbn2}' WHERE isbn = '{isbn}'; DELETE FROM loans WHERE id % 7 = {}",
            n % 7
        ),
        _ => format!(
            "INSERT INTO loans (isbn, nr) SELECT '{isbn}', g FROM generate_series(1, {}) AS g",
            n % 20
        ),
    }
}

fn service_write(rng: &mut StdRng) -> String {
    let ((area, number), (area2, number2)) = (shelf(rng), shelf(rng));
    let (author, author2, isbn, isbn2) = (author(rng), author(rng), isbn(rng), isbn(rng));
    let n: u32 = rng.random_range(0..1000);
    match rng.random_range(0..13) {
        0 => format!("INSERT INTO places VALUES ('{area}', {number}, 'label {n}')"),
        1 | 2 => swap("places", (area, number), (area2, number2)),
        3 => format!("INSERT INTO people VALUES ('{author}', 'name {n}')"),
        4 => format!(
            "UPDATE people SET name = 'renamed {n}' WHERE code = '{author}';
             UPDATE titles SET author_name = 'renamed {n}' WHERE author_code = '{author}'"
        ),
        5 => format!("DELETE FROM people WHERE code = '{author}'"),
        6 | 7 => format!(
            "INSERT INTO titles SELECT '{isbn}', '{area}', {number}, code, name, 'title {n}', 0.25, '{{}}' FROM people WHERE code = '{author}' FOR SHARE"
        ),
        8 => format!(
            "UPDATE titles SET (author_code, author_name) = (SELECT code, name FROM people WHERE code = '{author2}' FOR SHARE) WHERE isbn = '{isbn}'"
        ),
        9 => format!("UPDATE titles SET isbn = '{isbn2}', title = 'other' WHERE isbn = '{isbn}'"),
        10 => format!("DELETE FROM titles WHERE isbn = '{isbn}'"),
        11 => format!(
            "INSERT INTO items VALUES ('{isbn}', {}, 'in') ON CONFLICT (isbn, nr) DO UPDATE SET state = 'lost'",
            n % 3
        ),
        _ => format!(
            "INSERT INTO lendings (isbn) SELECT 'x' FROM generate_series(1, {}); DELETE FROM lendings WHERE id % 5 = {}",
            n % 20,
            n % 5
        ),
    }
}

/// Two unique values change places.
fn swap(table: &str, one: (char, u32), other: (char, u32)) -> String {
    let at = |(area, number): (char, u32)| format!("area = '{area}' AND number = {number}");
    format!(
        "CREATE TEMP TABLE IF NOT EXISTS l (a text, b text); TRUNCATE l;
         INSERT INTO l SELECT (SELECT label FROM {table} WHERE {one}), (SELECT label FROM {table} WHERE {other});
         DELETE FROM l WHERE a IS NULL OR b IS NULL OR a = b;
         UPDATE {table} SET label = 'aside' FROM l WHERE {one};
         UPDATE {table} SET label = l.a FROM l WHERE {other};
         UPDATE {table} SET label = l.b FROM l WHERE {one}",
        one = at(one),
        other = at(other)
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_single_page_round_the_target_is_the_projection_of_the_source() {
    let mut library = Library::new("schedule").await;
    let mut before = library.connect(Side::Monolith).await;
    run(&mut before, "INSERT INTO loans (isbn) SELECT 'old' FROM generate_series(1, 3000)")
        .await
        .unwrap();
    run_schedule(&mut library, write).await;
    library.close().await;
}

#[test]
fn links_that_are_not_logged_are_noticed() {
    let test = "after_every_single_page_round_the_target_is_the_projection_of_the_source";
    noticed("links-off", test, &["rows_differing", "extra [", "missing ["]);
}
