//! Every metric that the page names is served.

use std::time::Duration;

use trellis_testkit::wait_until;

use crate::http;
use crate::people::{People, Person};
use crate::stack::{PATIENCE, PROGRAMS, Stack};

const PAGE: &str = include_str!("../../../../docs/observability.md");

/// The names in the first column of the page's table.
fn named() -> Vec<&'static str> {
    let rows = PAGE.lines().filter(|line| line.starts_with("| `"));
    let columns = rows.filter_map(|row| row.split('|').nth(1));
    columns.flat_map(|names| names.split(',')).map(|name| name.trim().trim_matches('`')).collect()
}

async fn served(stack: &Stack) -> String {
    let mut all = String::new();
    for program in PROGRAMS {
        all += &http::send(&stack.metrics(program), "GET /metrics", "", "").await.1;
    }
    all
}

/// Writes without a pause: when the fence shuts, one of these meets it.
async fn write(person: Person) {
    loop {
        person.chooses(true).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_metric_of_the_page_is_served() {
    let stack = Stack::start().await;
    let people = People::of(&stack);
    stack.copied().await;
    let mut writers = Vec::new();
    // More would leave the switch no processor.
    for _ in 0..3 {
        writers.push(tokio::spawn(write(people.new_person().await)));
    }
    stack.switch(true).await;
    for writer in writers {
        writer.abort();
    }
    let names = named();
    assert!(names.len() > 20, "{names:?}");
    let mut absent = Vec::new();
    let all_served = wait_until("every metric is served", PATIENCE, async || {
        let served = served(&stack).await;
        absent = names.iter().filter(|name| !served.contains(&format!("\n{name}"))).collect();
        absent.is_empty()
    });
    let in_time = tokio::time::timeout(Duration::from_secs(20), all_served).await;
    assert!(in_time.is_ok(), "not served: {absent:?}");
}
