//! What the tests of this service share: its database beside those of others, and itself, started.
#![allow(dead_code, unused_imports, reason = "each test uses a part")]

mod carry;
mod mail_server;
mod monolith;
mod peers;
mod service;

pub use carry::{carry, columns, copy_out, create_views, definition, types};
pub use mail_server::MailServer;
pub use monolith::{Answer, Monolith};
pub use peers::directory;
pub use service::Service;

use sqlx::migrate::Migrator;
use trellis_testkit::{Database, Migrations, Server, database};

static MONOLITH: Migrator = sqlx::migrate!("../monolith/migrations");
static CONTROL: Migrator = sqlx::migrate!("../controller/migrations");

/// A database as this service has it.
pub async fn service_database() -> Database {
    with_engine(Server::Second, &trellis_notifications::app::MIGRATOR).await
}

/// A database as the monolith has it.
pub async fn monolith_database() -> Database {
    with_engine(Server::First, &MONOLITH).await
}

/// A control database without a move.
pub async fn control_database() -> Database {
    let migrations = [Migrations { migrator: &CONTROL, table: "_sqlx_migrations" }];
    database(Server::Second, &migrations).await
}

async fn with_engine(server: Server, own: &'static Migrator) -> Database {
    let migrations = [
        Migrations { migrator: own, table: "_sqlx_migrations" },
        Migrations { migrator: &ficus_events::MIGRATOR, table: "_sqlx_migrations_events" },
        Migrations { migrator: &ficus_mover::MIGRATOR, table: "_sqlx_migrations_mover" },
    ];
    database(server, &migrations).await
}
