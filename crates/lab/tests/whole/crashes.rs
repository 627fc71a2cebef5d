//! Programs that die between what they did and writing it down.

use trellis_testkit::Pool;
use trellis_testkit::wait_until;

use crate::people::{People, Person};
use crate::stack::{PATIENCE, Stack};

const TOPIC: &str = "trellis.core.v1";

/// Notifications are the service's; one person can mention another.
struct Scene {
    stack: Stack,
    ada: Person,
    bob: Person,
    task: i64,
}

impl Scene {
    async fn set() -> Self {
        let stack = Stack::start().await;
        let people = People::of(&stack);
        let (ada, bob) = (people.new_person().await, people.new_person().await);
        ada.invites(&bob).await;
        let task = ada.task().await;
        stack.copied().await;
        stack.switch(true).await;
        Self { stack, ada, bob, task }
    }

    async fn mention(&self) -> i64 {
        self.ada.mentions(&self.bob, self.task).await
    }

    /// Waits until the mention of this comment was told. Earlier events of the task are applied by then:
    /// they have the same key.
    async fn told(&self, comment: i64) {
        wait_until("the mention is told", PATIENCE, async || self.items(comment).await > 0).await;
    }

    async fn items(&self, comment: i64) -> i64 {
        let statement = "SELECT count(*) FROM inbox_items WHERE comment_id = $1";
        sqlx::query_scalar(statement).bind(comment).fetch_one(&self.stack.service).await.unwrap()
    }

    async fn mails(&self, comment: i64) -> i64 {
        let statement = "SELECT count(*) FROM mails WHERE cause = 'comment-' || $1";
        sqlx::query_scalar(statement).bind(comment).fetch_one(&self.stack.service).await.unwrap()
    }

    /// How often the comment's event is in the topic; that of the next comment is its last.
    async fn published(&self, from_last: usize) -> usize {
        let key = format!("task-{}", self.task);
        let messages = self.stack.broker.read(TOPIC).await;
        let of_task: Vec<_> = messages.iter().filter(|message| message.key == key).collect();
        let version = of_task.last().unwrap().version - i64::try_from(from_last).unwrap();
        let events: Vec<_> = of_task.iter().filter(|m| m.version == version).collect();
        assert!(events.iter().all(|message| message.event == events[0].event));
        events.len()
    }
}

/// The monolith's relay dies at `point` with the event of a mention in hand; how often that was published.
async fn relay_killed(point: &str) -> usize {
    let mut scene = Scene::set().await;
    hold(&scene.stack.monolith, &["auth", "core", "notifications"], true).await;
    let first = scene.mention().await;
    scene.stack.kill("monolith");
    hold(&scene.stack.monolith, &["core"], false).await;
    scene.stack.run("monolith", &format!("{point}=kill")).await;
    scene.stack.dies("monolith").await;
    hold(&scene.stack.monolith, &["auth", "notifications"], false).await;
    scene.stack.run("monolith", "").await;

    scene.ada.sign_in().await;
    let second = scene.mention().await;
    scene.told(second).await;
    assert_eq!((scene.items(first).await, scene.mails(first).await), (1, 1));
    scene.published(1).await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_relay_had_sent_when_it_died_is_sent_again_and_told_once() {
    assert_eq!(relay_killed("relay.sent").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_relay_had_read_when_it_died_is_sent() {
    assert_eq!(relay_killed("relay.read").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_consumer_had_applied_when_it_died_is_not_applied_again() {
    let mut scene = Scene::set().await;
    scene.stack.kill("notifications");
    let first = scene.mention().await;
    scene.stack.run("notifications", "consumer.applied=kill").await;
    scene.stack.dies("notifications").await;
    assert_eq!(scene.items(first).await, 1);
    scene.stack.run("notifications", "").await;
    let second = scene.mention().await;
    scene.told(second).await;
    assert_eq!((scene.items(first).await, scene.mails(first).await), (1, 1));
}

async fn hold(pool: &Pool, capabilities: &[&str], held: bool) {
    let statement = "UPDATE ficus.relay SET held = $1 WHERE capability = ANY ($2)";
    let done = sqlx::query(statement).bind(held).bind(capabilities).execute(pool).await.unwrap();
    assert_eq!(done.rows_affected(), u64::try_from(capabilities.len()).unwrap());
}
