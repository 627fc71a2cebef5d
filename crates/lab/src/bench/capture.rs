//! What an update costs while its table's changes are captured, beside the same update without.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};
use tokio::process::Command;

use super::figure::{Better, Figure};
use super::rounds::in_turns;
use super::run::Ground;
use crate::moves;
use crate::seed::seed;
use crate::servers::Postgres;
use crate::stack::process;

const ROWS: i64 = 200_000;
const TURN: Duration = Duration::from_secs(5);
const CLIENTS: &str = "4";
/// With the trigger and without it.
const VERBS: [&str; 2] = ["ENABLE ALWAYS", "DISABLE"];

pub async fn measure(ground: &Ground) -> Result<Vec<Figure>> {
    let stack = ground.fresh(&[]).await?;
    let monolith = stack.database("monolith")?;
    seed(monolith, ROWS, ground.seed).await?;
    moves::prepare(&ground.root).await?;
    // Who follows the log takes of the same processor; what is measured is the writer.
    let others = ["controller-1", "controller-2", "monolith", "notifications", "gateway"];
    for name in others {
        process::send(stack.named(name)?, Signal::SIGSTOP);
    }
    let pgbench = Postgres::find(ground.servers.postgres.as_deref())?.program("pgbench");
    let script = ground.root.folder().join("capture.pgbench");
    let mut database = PgConnection::connect(monolith).await?;
    let (last, rows): (i64, i64) = sqlx::query_as("SELECT max(id), count(*) FROM notifications")
        .fetch_one(&mut database)
        .await?;
    ensure!(last == rows, "there are gaps between the ids, and some updates would change nothing");
    let update = "UPDATE notifications SET read_at = now() AT TIME ZONE 'UTC' WHERE id = :id;";
    fs::write(&script, format!("\\set id random(1, {last})\n{update}\n"))?;

    let measured = in_turns::<2>(ground.rounds, async |turn| {
        let verb = VERBS[turn];
        let alter = format!("ALTER TABLE notifications {verb} TRIGGER ficus_capture_row");
        database.execute(AssertSqlSafe(alter)).await?;
        database.execute("TRUNCATE ficus.dirty").await?;
        database.execute("VACUUM notifications").await?;
        let mut command = Command::new(&pgbench);
        command
            .args(["-n", "-M", "prepared", "-c", CLIENTS, "-j", "1", "-T"])
            .arg(TURN.as_secs().to_string())
            .arg("-f")
            .arg(&script)
            .arg(monolith)
            // Otherwise the disk's flushes are measured, which are the same for both.
            .env("PGOPTIONS", "-c synchronous_commit=off")
            .stdin(Stdio::null());
        let output = command.output().await.context("failed to run pgbench")?;
        let said = String::from_utf8_lossy(&output.stdout);
        ensure!(output.status.success(), "pgbench: {}", String::from_utf8_lossy(&output.stderr));
        let (done, rate) =
            said_of(&said).with_context(|| format!("pgbench said no rate: {said}"))?;
        let captured: i64 =
            sqlx::query_scalar("SELECT count(*) FROM ficus.dirty").fetch_one(&mut database).await?;
        let wanted = if turn == 0 { done } else { 0 };
        ensure!(captured == wanted, "{captured} changes were captured of {wanted}");
        Ok(rate)
    });
    let measured = measured.await;
    for name in others {
        process::send(stack.named(name)?, Signal::SIGCONT);
    }
    let compared = measured?.beside(1);
    let note = format!(
        "pgbench, {CLIENTS} connections, prepared, one row by its primary key a transaction, synchronous_commit off, \
         {} s a turn; the other side is the same table with the capture trigger disabled; the fence's triggers are \
         there, disabled, in both",
        TURN.as_secs()
    );
    let figure = Figure::beside("capture.rate", "updates/s", Better::Higher, "without", &compared);
    Ok(vec![figure.noting(note)])
}

/// How many transactions were done, and how many a second, of lines as `number of transactions actually processed: 59852`
/// and `tps = 11970.123 (without initial connection time)`.
fn said_of(said: &str) -> Option<(i64, f64)> {
    let after = |words: &str| said.lines().find_map(|line| line.strip_prefix(words));
    let done = after("number of transactions actually processed: ")?.parse().ok()?;
    Some((done, after("tps = ")?.split(' ').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::said_of;

    #[test]
    fn number_and_rate_are_read_from_what_pgbench_says() {
        let said = "transaction type: x\nnumber of transactions actually processed: 59852\n\
                    tps = 11970.5 (without initial connection time)\n";
        assert_eq!(said_of(said), Some((59_852, 11_970.5)));
        assert_eq!(said_of("nothing"), None);
    }
}
