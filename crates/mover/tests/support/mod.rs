//! A library's two databases on two real servers, and ways to write, compare and crash.
#![allow(dead_code, reason = "each test file uses a part")]

use std::{
    path::Path,
    pin::{Pin, pin},
    str::FromStr,
    sync::atomic::{AtomicU32, Ordering},
    task::{Context, Poll},
};

use ficus_mover::{Budget, Definition, Direction, Follower, Mover, Phase, Side};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection, postgres::PgConnectOptions};

pub const CAPABILITY: &str = "catalogue";

const SERVERS: [&str; 2] = ["FICUS_TEST_POSTGRES", "FICUS_TEST_POSTGRES_2"];
const SCHEMAS: [(Side, &str); 2] = [
    (Side::Monolith, include_str!("../library/monolith.sql")),
    (Side::Service, include_str!("../library/service.sql")),
];

/// Both databases, dropped by [`Library::close`].
pub struct Library {
    name: String,
    pub mover: Mover,
    pub monolith: String,
    pub service: String,
    /// Raised by every step that takes the move in hand.
    pub attempt: i64,
    pub epoch: i64,
}

fn server(variable: &str) -> PgConnectOptions {
    let url =
        std::env::var(variable).unwrap_or_else(|_| panic!("{variable} is not set: run make test"));
    PgConnectOptions::from_str(&url).unwrap()
}

pub async fn connect(url: &str) -> PgConnection {
    let options = PgConnectOptions::from_str(url).unwrap();
    options.options([("search_path", "public")]).connect().await.unwrap()
}

pub async fn run(connection: &mut PgConnection, text: impl Into<String>) -> sqlx::Result<u64> {
    let text: String = text.into();
    Ok(sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await?.rows_affected())
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
            let mut connection = connect(&url).await;
            run(&mut connection, schema).await.unwrap();
            let engine = ficus_pg::Migrations {
                migrator: &ficus_mover::MIGRATOR,
                table: "_sqlx_migrations_mover",
            };
            ficus_pg::migrate(&url, &[engine]).await.unwrap();
            urls.push(url);
        }
        let (service, monolith) = (urls.pop().unwrap(), urls.pop().unwrap());
        let mover = Mover::connect(CAPABILITY, definition(), &monolith, &service).unwrap();
        Self { name, mover, monolith, service, attempt: 0, epoch: 1 }
    }

    /// As after prepare.
    pub async fn installed(test: &str) -> Self {
        let mut library = Self::new(test).await;
        library.raise().await;
        library.mover.install(library.attempt, library.epoch, Side::Monolith).await.unwrap();
        library
    }

    pub fn url(&self, side: Side) -> &str {
        match side {
            Side::Monolith => &self.monolith,
            Side::Service => &self.service,
        }
    }

    pub async fn connect(&self, side: Side) -> PgConnection {
        connect(self.url(side)).await
    }

    /// A new attempt on both sides.
    pub async fn raise(&mut self) {
        self.attempt += 1;
        for side in [Side::Monolith, Side::Service] {
            self.mover.end_sessions(side, self.attempt).await.unwrap();
            self.mover.raise_token(side, self.attempt, self.epoch).await.unwrap();
        }
    }

    pub async fn follower(&self, direction: Direction) -> Follower {
        self.mover.follower(direction, self.epoch).await.unwrap()
    }

    /// C0 to C9.
    pub async fn switch(&mut self, direction: Direction) {
        assert!(self.try_switch(direction).await);
    }

    /// False if it was aborted because a lock was not to be had.
    pub async fn try_switch(&mut self, direction: Direction) -> bool {
        self.raise().await;
        let (mover, attempt) = (self.mover.clone(), self.attempt);
        mover.fence(direction.source(), attempt).await.unwrap();
        mover.store_reverse_cursor(direction, attempt, self.epoch + 1).await.unwrap();
        let drained = self.follower(direction).await.drain(attempt).await;
        let opening = match drained {
            Ok(_) => mover.prepare_opening(direction, attempt).await,
            Err(error) => Err(error),
        };
        let Ok(opening) = opening else {
            mover.unfence(direction.source(), attempt).await.unwrap();
            return false;
        };
        self.epoch += 1;
        opening.commit().await.unwrap();
        true
    }

    /// Rows that only one side has, as "table: row", of a direction's target tables; the source's first.
    pub async fn differences(&self, direction: Direction) -> (Vec<String>, Vec<String>) {
        let mut source = self.connect(direction.source()).await;
        let mut target = self.connect(direction.target()).await;
        let (mut missing, mut extra) = (Vec::new(), Vec::new());
        for table in definition().tables(direction) {
            let columns = columns(&mut target, &table.table).await;
            let name = &table.table;
            let ours = rows(&mut source, &columns, &format!("ficus.\"{CAPABILITY}.{name}\"")).await;
            let theirs = rows(&mut target, &columns, &format!("public.{name}")).await;
            missing.extend(
                ours.iter().filter(|r| !theirs.contains(r)).map(|r| format!("{name}: {r}")),
            );
            extra.extend(
                theirs.iter().filter(|r| !ours.contains(r)).map(|r| format!("{name}: {r}")),
            );
            assert!(theirs.len() <= ours.len() || !extra.is_empty(), "{name} has a row twice");
        }
        (missing, extra)
    }

    /// The target is the projection of the source.
    pub async fn assert_equal(&self, direction: Direction) {
        let (missing, extra) = self.differences(direction).await;
        assert!(missing.is_empty() && extra.is_empty(), "missing {missing:#?}, extra {extra:#?}");
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
        drop(self.mover);
        for variable in SERVERS {
            let mut admin = server(variable).connect().await.unwrap();
            run(&mut admin, format!("DROP DATABASE {} WITH (FORCE)", self.name)).await.unwrap();
            admin.close().await.unwrap();
        }
    }
}

async fn columns(connection: &mut PgConnection, table: &str) -> String {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT quote_ident(attname) FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 ORDER BY attnum",
    )
    .bind(format!("public.{table}"))
    .fetch_all(connection)
    .await
    .unwrap();
    names.iter().map(|name| format!("{name}::text")).collect::<Vec<_>>().join(", ")
}

async fn rows(connection: &mut PgConnection, columns: &str, from: &str) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(format!("SELECT ROW({columns})::text FROM {from} ORDER BY 1")))
        .fetch_all(connection)
        .await
        .unwrap()
}

/// Rounds until both sides were compared whole.
pub async fn follow_until_verified(follower: &mut Follower) {
    for _ in 0..1_000 {
        let round = follower.round(Budget { chunks: 4 }).await.unwrap();
        if round.phase == Phase::Following && round.dirty == 0 && round.verdict.pending == 0 {
            return;
        }
    }
    panic!("the follower does not come to rest: {follower:?}");
}

/// Drops the future when it has been polled so often: a process that dies there.
pub async fn crash_after<F: Future>(polls: u32, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(move |context: &mut Context<'_>| {
        let future: Pin<&mut F> = future.as_mut();
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        future.poll(context).map(Some)
    })
    .await
}
