//! What goes on behind a run: who died is started again, who was stopped goes on, and at each switch is done what
//! the plot says.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Result;
use ficus_process::Clock;
use nix::sys::signal::Signal;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::{Connection as _, PgConnection, Postgres};
use tokio_util::sync::CancellationToken;

use super::plot::{AtSwitch, Plot};
use crate::judge::mails::Crash;
use crate::servers::Partition;
use crate::stack::up::{self, Servers, Told};
use crate::stack::{Root, Stack, health, process};

/// Between death and the next start.
const DEATH: Duration = Duration::from_secs(1);
/// Longer than *pending* lives (3 s), so that whoever is cut off or stopped finds it over.
const AWAY: Duration = Duration::from_secs(6);
const FROZEN: Duration = Duration::from_secs(4);
const LOOK: Duration = Duration::from_millis(50);
/// Between an acknowledgement and the change of owner are some ten milliseconds.
const WATCH: Duration = Duration::from_millis(3);

/// Starts again whoever died, as often with failpoints as the plot says; for ever.
pub async fn resurrect(
    root: Root,
    servers: Servers,
    plot: &'static Plot,
    told: Vec<Told>,
    crashes: Arc<Mutex<Vec<Crash>>>,
) -> Result<()> {
    let mut starts = 1;
    loop {
        for entry in Stack::of(&root)?.processes.iter().filter(|entry| !entry.alive()) {
            let from = Clock::system().now();
            tokio::time::sleep(DEATH).await;
            let failing = plot.failpoints.is_some_and(|points| starts < points.starts);
            let meant = |told: &&Told| failing || told.name != super::run::FAILPOINTS;
            let told: Vec<Told> = told.iter().filter(meant).cloned().collect();
            starts += 1;
            up::again(&root, &entry.name, &servers, &told).await?;
            let up = Stack::of(&root)?;
            let up = up.named(&entry.name)?;
            if let Err(error) = health::wait(up).await
                && up.alive()
            {
                return Err(error);
            }
            // Who died again before it answered is found dead by the next look.
            let crash = Crash { from, until: Clock::system().now() };
            crashes.lock().unwrap_or_else(PoisonError::into_inner).push(crash);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Does at every switch what the plot says, until it is over; what has begun is ended.
pub async fn watch(
    root: Root,
    plot: &'static Plot,
    partition: Arc<Partition>,
    over: CancellationToken,
) -> Result<()> {
    let mut control = PgConnection::connect(Stack::of(&root)?.database("control")?).await?;
    let mut acted_at = 0;
    loop {
        tokio::select! {
            () = over.cancelled() => return Ok(()),
            it_is_time = time_to_act(&mut control, plot.at_switch, acted_at) => it_is_time?,
        }
        match plot.at_switch {
            AtSwitch::Nothing => {}
            AtSwitch::Cut(_) | AtSwitch::CutBefore => {
                partition.cut();
                acted_at = sqlx::query_scalar("SELECT max(epoch) FROM move")
                    .fetch_one(&mut control)
                    .await?;
                tokio::time::sleep(AWAY).await;
                partition.mend();
            }
            AtSwitch::Freeze(process) => freeze(&root, &[process], FROZEN).await?,
            AtSwitch::FreezeControllers => {
                freeze(&root, &["controller-1", "controller-2"], AWAY).await?;
            }
        }
    }
}

/// `acted_at` is the epoch at which something was done last.
async fn time_to_act(control: &mut PgConnection, at_switch: AtSwitch, acted_at: i64) -> Result<()> {
    match at_switch {
        AtSwitch::Nothing => std::future::pending().await,
        AtSwitch::CutBefore => {
            // A switch that was aborted for it goes through the next time.
            let statement = "SELECT EXISTS (
                SELECT FROM move WHERE step = 'C0' AND pending IS NULL AND epoch > $1)";
            until(|| sqlx::query_scalar(statement).bind(acted_at), control).await
        }
        AtSwitch::Cut(process) | AtSwitch::Freeze(process) => {
            // The service's own acknowledgement counts while it is the old owner.
            let statement = "SELECT EXISTS (
                SELECT FROM move JOIN picker USING (capability)
                WHERE picker.pending = move.pending AND quiet AND pending_until > now()
                  AND picker LIKE $1 || '%' AND ($1 <> 'notifications' OR owner = 'service'))";
            until(|| sqlx::query_scalar(statement).bind(process), control).await
        }
        AtSwitch::FreezeControllers => {
            let statement = "SELECT EXISTS (SELECT FROM move WHERE step = 'C1')";
            until(|| sqlx::query_scalar(statement), control).await
        }
    }
}

async fn freeze(root: &Root, names: &[&str], time: Duration) -> Result<()> {
    let stack = Stack::of(root)?;
    let entries: Vec<_> = names.iter().map(|name| stack.named(name)).collect::<Result<_>>()?;
    for entry in &entries {
        process::send(entry, Signal::SIGSTOP);
    }
    tokio::time::sleep(time).await;
    for entry in &entries {
        process::send(entry, Signal::SIGCONT);
    }
    Ok(())
}

/// Asks until the answer is true.
async fn until<'a>(
    ask: impl Fn() -> QueryScalar<'a, Postgres, bool, PgArguments>,
    control: &mut PgConnection,
) -> Result<()> {
    while !ask().fetch_one(&mut *control).await? {
        tokio::time::sleep(WATCH).await;
    }
    Ok(())
}
