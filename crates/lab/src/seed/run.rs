//! The command, and the order of the tables.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Executor as _, PgPool};

use super::plan::Plan;
use super::{inbox, people, work};
use crate::print;
use crate::stack::{Root, Stack};

/// What `lab seed` is told.
#[derive(Args, Debug)]
pub struct Arguments {
    /// Rows that the notifications capability has afterwards, at least
    #[arg(long, default_value_t = 500_000, value_parser = clap::value_parser!(i64).range(1_000..))]
    pub rows: i64,
    /// The same seed gives the same history
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The monolith's database [default: the stack's]
    #[arg(long, value_name = "URL")]
    pub database: Option<String>,
}

/// Fills an empty database of the monolith.
pub async fn run(arguments: Arguments) -> Result<ExitCode> {
    let url = match arguments.database {
        Some(url) => url,
        None => Stack::of(&Root::find()?)?.database("monolith")?.to_owned(),
    };
    let begun = Instant::now();
    let rows = seed(&url, arguments.rows, arguments.seed).await?;
    let took = begun.elapsed();
    print::line(format!("{rows} rows of notifications, and what they refer to, in {took:.1?}"))?;
    print::line(format!("everybody's password is \"{}\"", people::PASSWORD))?;
    Ok(ExitCode::SUCCESS)
}

/// Fills an empty database of the monolith; answers how many rows the notifications capability has.
pub async fn seed(url: &str, rows: i64, seed: u64) -> Result<u64> {
    let pool = connect(url).await?;
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&pool).await?;
    ensure!(
        known == 0,
        "the database has {known} users already; seed an empty one (lab down, lab up)"
    );
    let rows = Box::pin(fill(&pool, &Plan::new(rows, seed))).await?;
    settle(&pool).await?;
    pool.close().await;
    Ok(rows)
}

/// Several tables at once; answers how many rows the notifications capability has.
async fn fill(pool: &PgPool, plan: &Plan) -> Result<u64> {
    tokio::try_join!(
        people::users(pool, plan),
        people::workspaces(pool, plan),
        people::members(pool, plan),
        work::projects(pool, plan),
        work::tasks(pool, plan),
        work::comments(pool, plan),
    )?;
    let (notifications, emails, preferences, answers, events) = tokio::try_join!(
        inbox::notifications(pool, plan),
        inbox::emails(pool, plan),
        people::preferences(pool, plan),
        inbox::answers(pool, plan),
        inbox::events(pool, plan),
    )?;
    Ok(notifications + emails + preferences + answers + events)
}

/// The rows refer to each other as the constraints want; a replica's session does not check it again.
async fn connect(url: &str) -> Result<PgPool> {
    let options: PgConnectOptions = url.parse().context("failed to read the database's URL")?;
    let options = options
        .application_name("lab seed")
        .options([("session_replication_role", "replica"), ("synchronous_commit", "off")]);
    PgPoolOptions::new().max_connections(6).connect_with(options).await.context("failed to connect")
}

/// Sequences go on after the rows, and the planner knows them.
async fn settle(pool: &PgPool) -> Result<()> {
    for statement in [
        "SELECT setval('users_id_seq', max(id)) FROM users",
        "SELECT setval('workspaces_id_seq', max(id)) FROM workspaces",
        "SELECT setval('projects_id_seq', max(id)) FROM projects",
        "SELECT setval('tasks_id_seq', max(id)) FROM tasks",
        "SELECT setval('comments_id_seq', max(id)) FROM comments",
        "SELECT setval('notifications_id_seq', max(id)) FROM notifications",
        "SELECT setval('emails_id_seq', max(id)) FROM emails",
        "VACUUM ANALYZE",
        "CHECKPOINT",
    ] {
        pool.execute(statement).await.with_context(|| format!("failed: {statement}"))?;
    }
    Ok(())
}
