//! The rows that move: inboxes, mails, stored answers and applied events.

use anyhow::Result;
use chrono::{Duration, NaiveDateTime};
use rand::Rng as _;
use rand::rngs::StdRng;
use sqlx::PgPool;

use super::copy::{Copy, Maybe};
use super::plan::{Plan, moment};
use super::work;

/// An inbox item, or the mail that went with it.
struct Told {
    user: i64,
    kind: &'static str,
    workspace: i64,
    actor: Option<i64>,
    task: Option<i64>,
    comment: Option<i64>,
}

pub async fn notifications(pool: &PgPool, plan: &Plan) -> Result<u64> {
    let mut random = plan.random(7);
    let table = "notifications (id, user_id, kind, workspace_id, actor_id, task_id, comment_id, read_at, \
                 created_at)";
    let mut copy = Copy::into(pool, table).await?;
    let all = plan.users + plan.tasks + plan.comments * super::plan::MENTIONS;
    for (id, told) in (1..).zip(everything(plan, plan.comments)) {
        let created = moment(&mut random, id, all);
        let read = random.random_bool(0.85).then(|| created + delay(&mut random));
        copy.row(&[
            &id,
            &told.user,
            &told.kind,
            &told.workspace,
            &Maybe(told.actor),
            &Maybe(told.task),
            &Maybe(told.comment),
            &Maybe(read),
            &created,
        ])
        .await?;
    }
    copy.finish().await
}

/// Mails: all welcomes and assignments, and each mailed comment's first mention.
pub async fn emails(pool: &PgPool, plan: &Plan) -> Result<u64> {
    let mut random = plan.random(8);
    let table = "emails (id, user_id, template, cause, task_id, state, attempts, next_attempt_at, version, \
                 created_at, sent_at)";
    let mut copy = Copy::into(pool, table).await?;
    let all = plan.users + plan.tasks + plan.mailed_comments;
    let mut last_comment = None;
    let mut id = 0;
    for told in everything(plan, plan.mailed_comments) {
        if told.comment.is_some() && told.comment == last_comment {
            continue;
        }
        last_comment = told.comment;
        id += 1;
        let created = moment(&mut random, id, all);
        let sent: NaiveDateTime = created + Duration::milliseconds(random.random_range(40..4_000));
        let (cause, attempts) = (told.cause(), random.random_range(1..=2));
        let version = attempts + 2;
        copy.row(&[
            &id,
            &told.user,
            &told.kind,
            &cause,
            &Maybe(told.task),
            &"sent",
            &attempts,
            &sent,
            &version,
            &created,
            &sent,
        ])
        .await?;
    }
    copy.finish().await
}

/// Answers that were kept for repeated requests.
pub async fn answers(pool: &PgPool, plan: &Plan) -> Result<u64> {
    let mut random = plan.random(9);
    let table = "notifications_idempotency (scope, key, request_hash, answer, created_at)";
    let mut copy = Copy::into(pool, table).await?;
    for number in 1..=plan.answers {
        let user = random.random_range(1..=plan.users);
        let hash = format!("\\\\x{}", format!("{:016x}", random.random::<u64>()).repeat(4));
        let created = moment(&mut random, number, plan.answers);
        // {} in hexadecimal.
        copy.row(&[
            &format!("user-{user}"),
            &format!("seed-{number}"),
            &hash,
            &"\\\\x7b7d",
            &created,
        ])
        .await?;
    }
    copy.finish().await
}

pub async fn events(pool: &PgPool, plan: &Plan) -> Result<u64> {
    let mut random = plan.random(10);
    let mut copy = Copy::into(pool, "notifications_inbox (event_id, applied_at)").await?;
    for number in 1..=plan.events {
        let id = format!("{:032x}", random.random::<u128>());
        copy.row(&[&id, &moment(&mut random, number, plan.events)]).await?;
    }
    copy.finish().await
}

/// What everybody was told: on signing up, when a task became theirs, and by the first `comments`.
fn everything(plan: &Plan, comments: i64) -> impl Iterator<Item = Told> {
    let welcomes = (1..=plan.users).map(|user| Told {
        user,
        kind: "welcome",
        workspace: Plan::workspace_of(user),
        actor: None,
        task: None,
        comment: None,
    });
    let assignments = (1..=plan.tasks).map(|task| Told {
        user: work::assignee(plan, task),
        kind: "assignment",
        workspace: work::workspace(plan, task),
        actor: Some(work::creator(plan, task)),
        task: Some(task),
        comment: None,
    });
    let mentions = (1..=comments).flat_map(move |comment| {
        let task = plan.task_of(comment);
        work::mentioned(plan, comment).into_iter().map(move |user| Told {
            user,
            kind: "mention",
            workspace: work::workspace(plan, task),
            actor: Some(work::author(plan, comment)),
            task: Some(task),
            comment: Some(comment),
        })
    });
    welcomes.chain(assignments).chain(mentions)
}

impl Told {
    fn cause(&self) -> String {
        match (self.task, self.comment) {
            (_, Some(comment)) => format!("comment-{comment}"),
            (Some(task), None) => format!("task-{task}-v2"),
            (None, None) => "sign-up".to_owned(),
        }
    }
}

fn delay(random: &mut StdRng) -> Duration {
    Duration::seconds(random.random_range(20..200_000))
}
