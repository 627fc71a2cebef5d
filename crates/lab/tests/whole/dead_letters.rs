//! What `docs/dead-letters.md` says to type, typed, each line with a dead letter of its own.

use ficus_events::Kafka;
use ficus_events::dead_letters::{self, DeadLetter};
use sqlx::Executor as _;
use trellis_testkit::wait_until;

use crate::page;
use crate::people::{People, Person};
use crate::stack::{PATIENCE, Stack};

const PAGE: &str = include_str!("../../../../docs/dead-letters.md");
/// What the page names in place of a key and of a letter.
const KEY: &str = "task-7";
const PLACE: &str = "trellis.core.v1.dlq/0/17";

/// Mentions somebody while the monolith cannot write it down, and mends that; key and place of the dead letter.
async fn dead_letter(stack: &Stack, writer: &Person, reader: &Person) -> (String, String) {
    let task = writer.task().await;
    let key = format!("task-{task}");
    let broken =
        "ALTER TABLE notifications ADD CONSTRAINT broken CHECK (comment_id IS NULL) NOT VALID";
    stack.monolith.execute(broken).await.unwrap();
    writer.mentions(reader, task).await;
    let kafka = Kafka::from(stack.broker.address.as_str());
    let mut place = None;
    wait_until("the event is a dead letter", PATIENCE, async || {
        let letters = dead_letters::list(&kafka, None, PATIENCE).await.unwrap();
        place = letters.iter().find(|letter| letter.key == key).map(DeadLetter::place);
        place.is_some()
    })
    .await;
    stack.monolith.execute("ALTER TABLE notifications DROP CONSTRAINT broken").await.unwrap();
    (key, place.unwrap())
}

/// What a line is to print beside the key; a table is narrow where nobody looks.
fn says(line: &str) -> &'static str {
    match line {
        line if line.contains("--dry-run") => "asked for",
        line if line.contains(" redrive ") => "applied",
        line if line.contains(" discard ") => "discarded",
        line if line.contains(" show ") => "CommentCreated",
        _ => "",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_on_dead_letters_works_as_it_stands() {
    let stack = Stack::start().await;
    let people = People::of(&stack);
    let (writer, reader) = (people.new_person().await, people.new_person().await);
    writer.invites(&reader).await;
    let lines: Vec<&str> = page::blocks(PAGE).into_iter().flat_map(str::lines).collect();
    assert!(lines.len() >= 8, "{lines:?}");
    for line in &lines {
        let (key, place) = dead_letter(&stack, &writer, &reader).await;
        let typed = stack.typed(&line.replace(KEY, &key).replace(PLACE, &place));
        assert_eq!(typed.status, Some(0), "{typed:?}");
        assert!(typed.out.contains(&key) && typed.out.contains(says(line)), "{typed:?}");
    }
    let left = stack.typed(".ficus/bin/ficus dlq list");
    assert!(left.out.contains("no dead letters"), "{left:?}");
    let told = "SELECT count(*) FROM notifications WHERE user_id = $1 AND comment_id IS NOT NULL";
    let told: i64 =
        sqlx::query_scalar(told).bind(reader.id).fetch_one(&stack.monolith).await.unwrap();
    assert_eq!(told, i64::try_from(lines.len() - 1).unwrap(), "all but what was discarded, once");
}
