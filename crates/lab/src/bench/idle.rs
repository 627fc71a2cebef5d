//! What the processes take while nobody asks anything, and how soon they answer.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::figure::Figure;
use super::run::Ground;
use crate::stack::memory::Memory;
use crate::stack::{Root, Stack, health, process, programs, up};

const STARTS: usize = 9;
const PATIENCE: Duration = Duration::from_secs(15);
/// Until pools and caches have come to rest.
const QUIET: Duration = Duration::from_secs(5);
/// One of each program of ours.
const OURS: [&str; 5] = ["sandbox", "monolith", "controller-1", "gateway", "notifications"];
/// What leads a move and answers for it.
const ENGINE: [&str; 3] = ["gateway", "controller-1", "controller-2"];

pub async fn measure(ground: &Ground) -> Result<Vec<Figure>> {
    ground.fresh(&[]).await?;
    let mut figures = Vec::new();
    for name in OURS {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            times.push(start(&ground.root, name, &ground.servers).await?.as_secs_f64() * 1_000.0);
        }
        times.sort_by(f64::total_cmp);
        let figure = Figure::alone(format!("idle.start.{name}"), "ms", STARTS, times[STARTS / 2]);
        let slowest = times[STARTS - 1];
        figures.push(figure.noting(format!(
            "median from exec to the first health check that is answered; slowest {slowest:.0} ms"
        )));
    }
    tokio::time::sleep(QUIET).await;
    let all = Memory::of(&Stack::of(&ground.root)?.processes);
    for memory in all.iter().filter(|memory| OURS.contains(&memory.name.as_str())) {
        let Some(megabytes) = memory.pss_mb else { continue };
        figures.push(Figure::alone(format!("idle.memory.{}", memory.name), "MB", 1, megabytes));
    }
    let engine = all.iter().filter(|memory| ENGINE.contains(&memory.name.as_str()));
    let engine: f64 = engine.filter_map(|memory| memory.pss_mb).sum();
    let note = "proportional set size of the gateway and both controllers";
    figures.push(Figure::alone("idle.memory.engine", "MB", 1, engine).noting(note));
    Ok(figures)
}

/// How long it takes from exec until the process answers, after it was asked to end.
async fn start(root: &Root, name: &str, servers: &up::Servers) -> Result<Duration> {
    let program = programs::named(name)?;
    let old = Stack::of(root)?.named(name)?.clone();
    process::send(&old, program.stop);
    ensure!(process::gone(&old, PATIENCE).await, "{name} does not end when asked");
    let begun = Instant::now();
    up::again(root, name, servers, &[]).await?;
    while let Err(error) = health::check(program.health).await {
        ensure!(begun.elapsed() < PATIENCE, "{name} does not answer: {error:#}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(begun.elapsed())
}
