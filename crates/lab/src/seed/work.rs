//! Projects, tasks and comments.

use anyhow::Result;
use rand::Rng as _;
use sqlx::PgPool;

use super::copy::Copy;
use super::plan::{MENTIONS, Plan, moment};
use super::words;

pub async fn projects(pool: &PgPool, plan: &Plan) -> Result<u64> {
    let mut random = plan.random(4);
    let mut copy = Copy::into(pool, "projects (id, workspace_id, name, created_at)").await?;
    for id in 1..=plan.projects {
        let (name, created) = (words::project(&mut random), moment(&mut random, id, plan.projects));
        copy.row(&[&id, &Plan::workspace_of_project(id), &name, &created]).await?;
    }
    copy.finish().await
}

pub async fn tasks(pool: &PgPool, plan: &Plan) -> Result<u64> {
    let mut random = plan.random(5);
    let table = "tasks (id, project_id, title, state, assignee_id, version, created_at)";
    let mut copy = Copy::into(pool, table).await?;
    for id in 1..=plan.tasks {
        let title = words::task(&mut random);
        let state = ["open", "doing", "done", "done", "done"][random.random_range(0..5)];
        let created = moment(&mut random, id, plan.tasks);
        let version = comments_of(plan, id) + 2;
        copy.row(&[
            &id,
            &plan.project_of(id),
            &title,
            &state,
            &assignee(plan, id),
            &version,
            &created,
        ])
        .await?;
    }
    copy.finish().await
}

pub async fn comments(pool: &PgPool, plan: &Plan) -> Result<u64> {
    let mut random = plan.random(6);
    let mut copy = Copy::into(pool, "comments (id, task_id, author_id, body, created_at)").await?;
    for id in 1..=plan.comments {
        let mentions: Vec<_> =
            mentioned(plan, id).into_iter().map(|person| format!("@{person}")).collect();
        let body = format!("{} {}", mentions.join(" "), words::remark(&mut random));
        let created = moment(&mut random, id, plan.comments);
        copy.row(&[&id, &plan.task_of(id), &author(plan, id), &body, &created]).await?;
    }
    copy.finish().await
}

/// Whom a task is assigned to, at its second version.
pub fn assignee(plan: &Plan, task: i64) -> i64 {
    Plan::person(workspace(plan, task), task * 7 / 3)
}

/// Who assigned it.
pub fn creator(plan: &Plan, task: i64) -> i64 {
    Plan::person(workspace(plan, task), task * 7 / 3 + 1)
}

/// The workspace of a task.
pub fn workspace(plan: &Plan, task: i64) -> i64 {
    Plan::workspace_of_project(plan.project_of(task))
}

/// Who wrote a comment.
pub fn author(plan: &Plan, comment: i64) -> i64 {
    Plan::person(workspace(plan, plan.task_of(comment)), comment * 3)
}

/// Whom a comment mentions: others than its author, each once.
pub fn mentioned(plan: &Plan, comment: i64) -> Vec<i64> {
    let workspace = workspace(plan, plan.task_of(comment));
    (1..=MENTIONS).map(|number| Plan::person(workspace, comment * 3 + number)).collect()
}

/// How many comments a task has.
fn comments_of(plan: &Plan, task: i64) -> i64 {
    plan.comments / plan.tasks + i64::from(task <= plan.comments % plan.tasks)
}
