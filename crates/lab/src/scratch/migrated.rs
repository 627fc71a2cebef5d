//! Trellis's databases on scratch servers, for compiling checked queries against.
//!
//! The statements are taken from the clone's own files and not from the built services: those cannot be
//! built while a query is new.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::servers::postgres::url;

/// A database: the variable that names it, which server it is on, its name, and the folders of its
/// migrations.
const DATABASES: [(&str, usize, &str, &[&str]); 4] = [
    (
        "MONOLITH_DATABASE_URL",
        0,
        "monolith",
        &["services/monolith", "crates/events", "crates/mover"],
    ),
    (
        "NOTIFICATIONS_DATABASE_URL",
        1,
        "notifications",
        &["services/notifications", "crates/events", "crates/mover"],
    ),
    ("CONTROL_DATABASE_URL", 1, "control", &["services/controller"]),
    ("EVENTS_DATABASE_URL", 1, "events", &["crates/events"]),
];

/// Makes and migrates the databases; answers the variables that name them.
pub async fn prepare(servers: [u16; 2]) -> Result<Vec<(String, String)>> {
    let mut variables = Vec::new();
    for (variable, server, name, folders) in DATABASES {
        execute(&url(servers[server], "postgres"), format!("CREATE DATABASE {name}")).await?;
        let database = url(servers[server], name);
        for folder in folders {
            migrate(&database, &Path::new(folder).join("migrations")).await?;
        }
        variables.push((variable.to_owned(), database));
    }
    Ok(variables)
}

async fn migrate(database: &str, folder: &Path) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| {
        format!("failed to read {} (run lab from the repository root)", folder.display())
    })?;
    let mut files: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    for file in files {
        execute(database, fs::read_to_string(&file)?)
            .await
            .with_context(|| format!("failed to apply {}", file.display()))?;
    }
    Ok(())
}

async fn execute(database: &str, statements: String) -> Result<()> {
    let mut connection = PgConnection::connect(database).await?;
    connection.execute(sqlx::raw_sql(AssertSqlSafe(statements))).await?;
    connection.close().await.context("failed to close a connection")
}
