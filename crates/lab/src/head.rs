//! What every report begins with.

use anyhow::Result;
use sqlx::{Connection as _, PgConnection};

use crate::stack::{Root, Stack};

/// The commit of the clone; `None` outside of one.
pub async fn commit(root: &Root) -> Option<String> {
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
