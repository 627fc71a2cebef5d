//! A capability's two databases with a mover between them, and ways to write, compare and crash.
#![expect(clippy::unwrap_used, reason = "a test ends where it fails")]

use std::{
    collections::HashSet,
    pin::{Pin, pin},
    str::FromStr,
    task::{Context, Poll},
};

use ficus_mover::{Budget, Definition, Direction, Follower, Mover, Phase, Side};
use ficus_process::fault;
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, postgres::PgConnectOptions};

/// A step that matches no token row.
const TOKEN_OFF: &str =
    "CREATE OR REPLACE FUNCTION ficus.begin_step(p_capability text, p_attempt bigint)
    RETURNS void LANGUAGE sql AS
    'SELECT set_config(''application_name'', format(''ficus:%s:%s'', p_capability, p_attempt), false)::void'";

/// A move without a controller: what one would do is done by hand.
pub struct Moving {
    pub mover: Mover,
    capability: String,
    definition: Definition,
    urls: [String; 2],
    /// Raised by every step that takes the move in hand.
    pub attempt: i64,
    pub epoch: i64,
}

impl Moving {
    /// `urls`: the monolith's database and the service's. Nothing is installed.
    pub fn new(capability: &str, definition: Definition, urls: [String; 2]) -> Self {
        let mover = Mover::connect(capability, definition.clone(), &urls[0], &urls[1]).unwrap();
        Self { mover, capability: capability.to_owned(), definition, urls, attempt: 0, epoch: 1 }
    }

    /// As prepare does; the monolith owns.
    pub async fn install(&mut self) {
        self.raise().await;
        self.mover.install(self.attempt, self.epoch, Side::Monolith).await.unwrap();
        if fault::planted("token-off") {
            for side in [Side::Monolith, Side::Service] {
                run(&mut self.connect(side).await, TOKEN_OFF).await.unwrap();
            }
        }
    }

    /// Where a side's database is.
    pub fn url(&self, side: Side) -> &str {
        match side {
            Side::Monolith => &self.urls[0],
            Side::Service => &self.urls[1],
        }
    }

    /// A session of a customer's.
    pub async fn connect(&self, side: Side) -> PgConnection {
        connect(self.url(side)).await
    }

    /// A new attempt on both sides, by a mover whose sessions are new: those of older attempts are ended.
    pub async fn raise(&mut self) {
        self.attempt += 1;
        let [monolith, service] = &self.urls;
        let definition = self.definition.clone();
        self.mover = Mover::connect(&self.capability, definition, monolith, service).unwrap();
        for side in [Side::Monolith, Side::Service] {
            self.mover.end_sessions(side, self.attempt).await.unwrap();
            self.mover.raise_token(side, self.attempt, self.epoch).await.unwrap();
        }
    }

    /// A new follower, from where the cursor stands.
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
        if mover.fence(direction.source(), attempt).await.is_err() {
            mover.unfence(direction.source(), attempt).await.unwrap();
            return false;
        }
        mover.store_reverse_cursor(direction, attempt, self.epoch + 1).await.unwrap();
        let drained = self.follower(direction).await.drain(attempt).await;
        let opening = match drained {
            Ok(_) => mover.prepare_opening(direction, attempt, self.epoch + 1).await,
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
        for table in self.definition.tables(direction) {
            let columns = columns(&mut target, &table.table).await;
            let name = &table.table;
            let view = format!("ficus.\"{}.{name}\"", self.capability);
            let ours = rows(&mut source, &columns, &view).await;
            let theirs = rows(&mut target, &columns, &format!("public.{name}")).await;
            missing.extend(only_in(&ours, &theirs).map(|row| format!("{name}: {row}")));
            extra.extend(only_in(&theirs, &ours).map(|row| format!("{name}: {row}")));
            assert!(theirs.len() <= ours.len() || !extra.is_empty(), "{name} has a row twice");
        }
        (missing, extra)
    }

    /// The target is the projection of the source.
    pub async fn assert_equal(&self, direction: Direction) {
        let (missing, extra) = self.differences(direction).await;
        assert!(missing.is_empty() && extra.is_empty(), "missing {missing:#?}, extra {extra:#?}");
    }
}

/// A session of a customer's in the database at `url`.
pub async fn connect(url: &str) -> PgConnection {
    let options = PgConnectOptions::from_str(url).unwrap();
    options.options([("search_path", "public")]).connect().await.unwrap()
}

/// Statements without parameters, one after the other.
pub async fn run(connection: &mut PgConnection, text: impl Into<String>) -> sqlx::Result<u64> {
    let text: String = text.into();
    Ok(sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await?.rows_affected())
}

async fn columns(connection: &mut PgConnection, table: &str) -> String {
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT quote_ident(attname) FROM pg_attribute
         WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
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

fn only_in<'a>(rows: &'a [String], others: &'a [String]) -> impl Iterator<Item = &'a String> {
    let others: HashSet<&String> = others.iter().collect();
    rows.iter().filter(move |row| !others.contains(row))
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
