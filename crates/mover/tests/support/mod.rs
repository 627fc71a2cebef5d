//! A library's two databases on two real servers, and ways to write, compare and crash.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    ops::{Deref, DerefMut},
    path::Path,
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
};

use ficus_mover::{Definition, Side};
use sqlx::{ConnectOptions, Connection, postgres::PgConnectOptions};
use trellis_testkit::moving::Moving;

#[allow(unused_imports, reason = "each test file uses a part")]
pub use trellis_testkit::moving::{connect, crash_after, follow_until_verified, run};

pub const CAPABILITY: &str = "catalogue";

const SERVERS: [&str; 2] = ["FICUS_TEST_POSTGRES", "FICUS_TEST_POSTGRES_2"];
const SCHEMAS: [(Side, &str); 2] = [
    (Side::Monolith, include_str!("../library/monolith.sql")),
    (Side::Service, include_str!("../library/service.sql")),
];

/// Both databases, dropped by [`Library::close`], and the move between them.
pub struct Library {
    name: String,
    moving: Moving,
}

impl Deref for Library {
    type Target = Moving;

    fn deref(&self) -> &Moving {
        &self.moving
    }
}

impl DerefMut for Library {
    fn deref_mut(&mut self) -> &mut Moving {
        &mut self.moving
    }
}

fn server(variable: &str) -> PgConnectOptions {
    let url =
        std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run make test"));
    PgConnectOptions::from_str(&url).unwrap()
}

pub fn definition() -> Definition {
    Definition::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/library")).unwrap()
}

impl Library {
    /// Two databases with the library's schemas and the mover's; nothing is installed.
    pub async fn new(test: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("mover_{test}_{}_{number}", std::process::id());
        let mut urls = Vec::new();
        for (variable, (_, schema)) in SERVERS.into_iter().zip(SCHEMAS) {
            let options = server(variable);
            let mut admin = options.clone().connect().await.unwrap();
            run(&mut admin, format!("CREATE DATABASE {name}")).await.unwrap();
            let url = options.database(&name).to_url_lossy().to_string();
            run(&mut connect(&url).await, schema).await.unwrap();
            let engine = ficus_pg::Migrations {
                migrator: &ficus_mover::MIGRATOR,
                table: "_sqlx_migrations_mover",
            };
            ficus_pg::migrate(&url, &[engine]).await.unwrap();
            urls.push(url);
        }
        let moving = Moving::new(CAPABILITY, definition(), urls.try_into().unwrap());
        Self { name, moving }
    }

    /// As after prepare.
    pub async fn installed(test: &str) -> Self {
        let mut library = Self::new(test).await;
        library.install().await;
        library
    }

    /// The library's own tables as they were at first.
    pub async fn reset(&self) {
        for (side, schema) in SCHEMAS {
            let mut connection = self.connect(side).await;
            let anew = format!("DROP SCHEMA public CASCADE; CREATE SCHEMA public; {schema}");
            run(&mut connection, anew).await.unwrap();
        }
    }

    pub async fn close(self) {
        drop(self.moving);
        for variable in SERVERS {
            let mut admin = server(variable).connect().await.unwrap();
            run(&mut admin, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await.unwrap();
            admin.close().await.unwrap();
        }
    }
}
