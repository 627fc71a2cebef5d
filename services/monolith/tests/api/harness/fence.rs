//! The mover's own fence on Trellis's tables.

use std::path::Path;

use ficus_mover::{Definition, Mover, Side};
use sqlx::migrate::Migrator;
use trellis_monolith::app::migrations;
use trellis_testkit::{Database, Migrations, Server};

use super::Trellis;

static SERVICE: Migrator = sqlx::migrate!("../notifications/migrations");

/// What `Ficus-Fenced` says of it.
pub const FENCED: &str = "notifications 1";

const ATTEMPT: i64 = 1;

/// A move of notifications that is prepared: the fence stands open at the monolith.
#[derive(Clone)]
pub struct Fence(Mover);

impl Fence {
    /// Prepares a move to a service that nobody runs, whose database is to be kept for as long.
    pub async fn prepare(trellis: &Trellis) -> (Self, Database) {
        let [_, events, engine] = migrations();
        let own = Migrations { migrator: &SERVICE, table: "_sqlx_migrations" };
        let service = trellis_testkit::database(Server::Second, &[own, events, engine]).await;
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../notifications/move");
        let definition = Definition::read(&folder).unwrap();
        let url = trellis.database_url();
        let mover = Mover::connect("notifications", definition, url, service.url()).unwrap();
        for side in [Side::Monolith, Side::Service] {
            mover.raise_token(side, ATTEMPT, 1).await.unwrap();
        }
        mover.install(ATTEMPT, 1, Side::Monolith).await.unwrap();
        (Self(mover), service)
    }

    /// Refuses writes from now on.
    pub async fn shut(&self) {
        self.0.fence(Side::Monolith, ATTEMPT).await.unwrap();
    }

    /// As [`Self::shut`], with writers in the way: tables that they have not touched are shut.
    pub async fn shut_in_part(&self) {
        self.0.fence(Side::Monolith, ATTEMPT).await.unwrap_err();
    }

    /// Accepts writes again.
    pub async fn open(&self) {
        self.0.unfence(Side::Monolith, ATTEMPT).await.unwrap();
    }
}
