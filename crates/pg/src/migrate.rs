//! Migrations: an application's own and those of the engine, each with a table of its own.

use std::str::FromStr;

use sqlx::{
    ConnectOptions, Connection,
    migrate::{MigrateError, Migrator},
    postgres::PgConnectOptions,
};

use crate::pool::SEARCH_PATH;

/// One folder of migrations and the table that says which of them have run.
pub struct Migrations {
    pub migrator: &'static Migrator,
    /// As `_sqlx_migrations_events`.
    pub table: &'static str,
}

/// Applies what has not run yet, in the order given. Run as one job, never at a service's start.
pub async fn migrate(url: &str, all: &[Migrations]) -> Result<(), MigrateError> {
    let options = PgConnectOptions::from_str(url)?.options([SEARCH_PATH]);
    let mut connection = options.connect().await?;
    for migrations in all {
        let mut migrator =
            Migrator { migrations: migrations.migrator.migrations.clone(), ..Migrator::DEFAULT };
        migrator.dangerous_set_table_name(migrations.table);
        migrator.run(&mut connection).await?;
    }
    connection.close().await?;
    Ok(())
}
