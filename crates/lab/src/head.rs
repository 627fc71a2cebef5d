//! What every report begins with.

use anyhow::Result;
use chrono::SecondsFormat;
use ficus_process::Clock;
use serde::Serialize;
use sqlx::{Connection as _, PgConnection};

use crate::stack::{Root, Stack};

/// Of a report or of one of its lines.
#[derive(Debug, Default, Clone, Serialize)]
pub struct Head {
    pub schema: u32,
    pub commit: Option<String>,
    pub seed: u64,
    /// RFC 3339, UTC.
    pub started_at: String,
    pub broker: &'static str,
    pub postgres: Option<String>,
}

impl Head {
    /// What is known before anything has been started.
    pub async fn begin(root: &Root, seed: u64) -> Self {
        Self {
            schema: 1,
            commit: commit(root).await,
            seed,
            started_at: Clock::system().now().to_rfc3339_opts(SecondsFormat::Millis, true),
            broker: "kafka",
            postgres: None,
        }
    }
}

/// The commit of the clone; `None` outside of one.
async fn commit(root: &Root) -> Option<String> {
    let output = tokio::process::Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(root.path())
        .output()
        .await
        .ok()?;
    let commit = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!commit.is_empty()).then_some(commit)
}

/// As `15.18 (Debian …)`.
pub async fn server_version(stack: &Stack) -> Result<String> {
    let mut database = PgConnection::connect(stack.database("monolith")?).await?;
    Ok(sqlx::query_scalar("SHOW server_version").fetch_one(&mut database).await?)
}
