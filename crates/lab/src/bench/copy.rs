//! How fast a capability's rows reach the service's database, beside the same tables by COPY and by logical
//! replication.

use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use futures::StreamExt as _;
use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::process::Command;

use super::figure::{Better, Figure};
use super::rounds::in_turns;
use super::run::Ground;
use crate::moves;
use crate::seed::seed;
use crate::servers::{Postgres, postgres};
use crate::stack::{Stack, health, process, up};

const ROWS: i64 = 400_000;
const PATIENCE: Duration = Duration::from_mins(5);
const LOOK: Duration = Duration::from_millis(10);
/// What notifications are in the monolith.
const TABLES: [&str; 7] = [
    "email_templates",
    "notifications",
    "notification_preferences",
    "emails",
    "notifications_idempotency",
    "notifications_inbox",
    "notifications_parked",
];
/// Tables that have a row for a row in both, here and there.
const ROW_FOR_ROW: [[&str; 2]; 2] = [["notifications", "emails"], ["inbox_items", "mails"]];
/// A database of its own beside the service's, with the monolith's tables.
const BENCH: &str = "bench";

pub async fn measure(ground: &Ground) -> Result<Vec<Figure>> {
    let stack = logical(ground).await?;
    let monolith = stack.database("monolith")?;
    let rows = seed(monolith, ROWS, ground.seed).await?;
    moves::cut(&ground.root).await?;
    let there = elsewhere(ground, &stack).await?;
    let mut source = PgConnection::connect(monolith).await?;
    let mut target = PgConnection::connect(&there).await?;
    let mut service = PgConnection::connect(stack.database("notifications")?).await?;
    let wanted = [count(&mut source, &ROW_FOR_ROW[0]).await?, count(&mut source, &TABLES).await?];
    source
        .execute(AssertSqlSafe(format!("CREATE PUBLICATION bench FOR TABLE {}", TABLES.join(", "))))
        .await?;
    let measured = in_turns::<3>(ground.rounds, async |turn| {
        target.execute(AssertSqlSafe(format!("TRUNCATE {}", TABLES.join(", ")))).await?;
        let took = match turn {
            0 => {
                let took = moved(ground, &stack).await?;
                are_there(&mut service, &ROW_FOR_ROW[1], wanted[0]).await?;
                cancel(ground).await?;
                took
            }
            1 => copied(&mut source, &mut target).await?,
            _ => replicated(&mut target, monolith).await?,
        };
        if turn > 0 {
            are_there(&mut target, &TABLES, wanted[1]).await?;
        }
        #[expect(clippy::cast_precision_loss, reason = "some hundred thousand rows")]
        Ok(rows as f64 / took.as_secs_f64())
    });
    let measured = measured.await?;
    let note = format!(
        "{rows} rows of seven tables, without load; ours goes through the projections into nine tables, \
         in chunks that keep the source busy for no more than some 100 ms"
    );
    let figure = |name, opponent, other| {
        Figure::beside(name, "rows/s", Better::Higher, opponent, &measured.beside(other))
    };
    Ok(vec![
        figure("copy.raw", "COPY out | COPY in", 1).noting(note),
        figure("copy.replication", "logical replication", 2)
            .noting("its initial copy, two tables at a time as by default"),
    ])
}

/// A stack whose monolith's database can be replicated from.
async fn logical(ground: &Ground) -> Result<Stack> {
    let stack = ground.fresh(&[]).await?;
    let mut database = PgConnection::connect(stack.database("monolith")?).await?;
    database.execute("ALTER SYSTEM SET wal_level = 'logical'").await?;
    let name = "postgres-monolith";
    let old = stack.named(name)?;
    process::send(old, Signal::SIGINT);
    ensure!(process::gone(old, Duration::from_secs(20)).await, "{name} does not end");
    up::again(&ground.root, name, &ground.servers, &[]).await?;
    let stack = Stack::of(&ground.root)?;
    health::wait(stack.named(name)?).await?;
    Ok(stack)
}

/// The URL of a database with the monolith's tables of notifications, and no rows.
async fn elsewhere(ground: &Ground, stack: &Stack) -> Result<String> {
    let mut server = PgConnection::connect(stack.database("notifications")?).await?;
    server.execute(AssertSqlSafe(format!("CREATE DATABASE {BENCH}"))).await?;
    let dump = Postgres::find(ground.servers.postgres.as_deref())?.program("pg_dump");
    let tables = TABLES.iter().flat_map(|table| ["-t", table]);
    let output = Command::new(dump)
        .arg("--schema-only")
        .args(tables)
        .arg(stack.database("monolith")?)
        .stdin(Stdio::null())
        .output()
        .await
        .context("failed to run pg_dump")?;
    ensure!(output.status.success(), "pg_dump: {}", String::from_utf8_lossy(&output.stderr));
    let url = postgres::url(8262, BENCH);
    let mut there = PgConnection::connect(&url).await?;
    let schema = String::from_utf8(output.stdout)?;
    // What psql alone understands.
    let schema: Vec<&str> = schema.lines().filter(|line| !line.starts_with('\\')).collect();
    there.execute(AssertSqlSafe(schema.join("\n"))).await?;
    Ok(url)
}

/// Ours, from the command that starts it until the last row is there.
pub(super) async fn moved(ground: &Ground, stack: &Stack) -> Result<Duration> {
    verb(ground, "create").await?;
    verb(ground, "prepare").await?;
    let mut control = PgConnection::connect(stack.database("control")?).await?;
    let begun = Instant::now();
    verb(ground, "start").await?;
    loop {
        let statement = "SELECT stream FROM move WHERE capability = 'notifications'";
        let stream: String = sqlx::query_scalar(statement).fetch_one(&mut control).await?;
        match stream.as_str() {
            "following" => break,
            "copying" if begun.elapsed() < PATIENCE => tokio::time::sleep(LOOK).await,
            other => bail!("the copy came to {other}"),
        }
    }
    Ok(begun.elapsed())
}

/// Takes away all that [`moved`] has brought.
pub(super) async fn cancel(ground: &Ground) -> Result<()> {
    verb(ground, "cancel").await
}

async fn verb(ground: &Ground, verb: &str) -> Result<()> {
    moves::insist(&ground.root, &format!(".ficus/bin/ficus move notifications {verb}")).await
}

/// Fails unless these tables have so many rows, all together.
async fn are_there(database: &mut PgConnection, tables: &[&str], wanted: i64) -> Result<()> {
    let found = count(database, tables).await?;
    ensure!(found == wanted, "{found} of {wanted} rows have arrived in {}", tables.join(", "));
    Ok(())
}

async fn count(database: &mut PgConnection, tables: &[&str]) -> Result<i64> {
    let counts = tables.iter().map(|table| format!("(SELECT count(*) FROM {table})"));
    let statement = format!("SELECT {}", counts.collect::<Vec<_>>().join(" + "));
    Ok(sqlx::query_scalar(AssertSqlSafe(statement)).fetch_one(database).await?)
}

/// One table after the other, in PostgreSQL's binary format.
async fn copied(source: &mut PgConnection, target: &mut PgConnection) -> Result<Duration> {
    let begun = Instant::now();
    for table in TABLES {
        let out = format!("COPY {table} TO STDOUT (FORMAT binary)");
        let mut rows = source.copy_out_raw(&out).await?;
        let mut into =
            target.copy_in_raw(&format!("COPY {table} FROM STDIN (FORMAT binary)")).await?;
        while let Some(chunk) = rows.next().await {
            into.send(chunk?).await?;
        }
        into.finish().await?;
    }
    Ok(begun.elapsed())
}

/// Until each table is in step; then the subscription is dropped.
async fn replicated(target: &mut PgConnection, monolith: &str) -> Result<Duration> {
    let begun = Instant::now();
    let subscribe = format!("CREATE SUBSCRIPTION bench CONNECTION '{monolith}' PUBLICATION bench");
    target.execute(AssertSqlSafe(subscribe)).await?;
    let left = "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'";
    while sqlx::query_scalar::<_, i64>(left).fetch_one(&mut *target).await? > 0 {
        ensure!(begun.elapsed() < PATIENCE, "the subscription does not come to an end");
        tokio::time::sleep(LOOK).await;
    }
    let took = begun.elapsed();
    target.execute("DROP SUBSCRIPTION bench").await?;
    Ok(took)
}
