//! What a request costs the load tester of the processor, beside wrk and h2load.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;
use tokio::process::Command;

use super::figure::{Better, Figure};
use super::rounds::in_turns;
use super::run::Ground;

const SECONDS: u32 = 5;
/// Far more than one core does, so that each tester shows the most that it can.
const RATE: &str = "200000";
/// Requests that wait for an answer at a time, of each tester.
const IN_FLIGHT: u32 = 64;
/// The sandbox's, by `stack::programs`.
const HTTP: &str = "http://127.0.0.1:8252";
const GRPC: &str = "127.0.0.1:8253";
const HEALTH: &str = "grpc.health.v1.Health/Check";

pub async fn measure(ground: &Ground) -> Result<Vec<Figure>> {
    let ours = std::env::current_exe()?.with_file_name("ficus");
    ensure!(ours.exists(), "{} is not built", ours.display());
    let (wrk, h2load) = (installed("wrk", "wrk")?, installed("h2load", "nghttp2-client")?);
    ground.fresh(&["sandbox"]).await?;
    let message = ground.root.data().join("check.grpc");
    std::fs::create_dir_all(ground.root.data())?;
    // No compression, and a message of no bytes.
    std::fs::write(&message, [0; 5])?;
    Ok(vec![
        beside_wrk(ground, &ours, &wrk).await?,
        beside_h2load(ground, &ours, &h2load, &message).await?,
    ])
}

async fn beside_wrk(ground: &Ground, ours: &Path, wrk: &Path) -> Result<Figure> {
    let url = format!("{HTTP}/healthz");
    let compared = in_turns::<2>(ground.rounds, async |turn| {
        if turn == 0 {
            return by_ficus(ours, &url).await;
        }
        let mut command = Command::new(wrk);
        command.arg("-t1").arg(format!("-c{IN_FLIGHT}")).arg(format!("-d{SECONDS}s")).arg(&url);
        a_core(&mut command, |said| before(said, " requests in ")).await
    });
    let compared = compared.await?.beside(1);
    let figure = Figure::beside("load.http", "requests/s a core", Better::Higher, "wrk", &compared);
    Ok(figure.noting(format!(
        "{IN_FLIGHT} in flight, one thread, {SECONDS} s a turn; the sandbox answers"
    )))
}

async fn beside_h2load(
    ground: &Ground,
    ours: &Path,
    h2load: &Path,
    message: &Path,
) -> Result<Figure> {
    let target = format!("grpc://{GRPC}/{HEALTH}");
    let url = format!("http://{GRPC}/{HEALTH}");
    let compared = in_turns::<2>(ground.rounds, async |turn| {
        if turn == 0 {
            return by_ficus(ours, &target).await;
        }
        let mut command = Command::new(h2load);
        command.args(["-t1", "-c4"]).arg(format!("-m{}", IN_FLIGHT / 4));
        command.arg(format!("--duration={SECONDS}")).arg("-d").arg(message);
        command.args(["-H", "content-type: application/grpc", "-H", "te: trailers"]).arg(&url);
        a_core(&mut command, |said| before(said, " succeeded,")).await
    });
    let compared = compared.await?.beside(1);
    let figure =
        Figure::beside("load.grpc", "requests/s a core", Better::Higher, "h2load", &compared);
    Ok(figure.noting(format!(
        "{IN_FLIGHT} in flight on 4 connections, one thread, {SECONDS} s a turn; the sandbox answers"
    )))
}

async fn by_ficus(ours: &Path, target: &str) -> Result<f64> {
    let mut command = Command::new(ours);
    command.args(["load", target, "--rate", RATE, "--for"]).arg(format!("{SECONDS}s"));
    command.args(["--warm-up", "0s", "--threads", "1", "--connections", "4", "--json"]);
    command.arg("--in-flight").arg(IN_FLIGHT.to_string());
    a_core(&mut command, |said| {
        let told: Value = serde_json::from_str(said).ok()?;
        is_right(&told).then(|| told["ok"].as_u64()).flatten()
    })
    .await
}

/// No request was answered wrongly; what was shed was never sent.
fn is_right(told: &Value) -> bool {
    told["errors"].as_object().is_some_and(serde_json::Map::is_empty)
}

/// Requests that were answered by the seconds that the tester took of a processor.
async fn a_core(command: &mut Command, answered: impl Fn(&str) -> Option<u64>) -> Result<f64> {
    let before = children()?;
    let output = command.stdin(Stdio::null()).output().await?;
    let taken = children()?.saturating_sub(before).as_secs_f64();
    let said = String::from_utf8_lossy(&output.stdout);
    let answered = answered(&said).with_context(|| {
        let error = String::from_utf8_lossy(&output.stderr);
        format!("the tester did not tell how many were answered: {said}{error}")
    })?;
    #[expect(clippy::cast_precision_loss, reason = "some hundred thousand requests")]
    let answered = answered as f64;
    Ok(answered / taken.max(1e-9))
}

/// What children that have ended have taken of the processor.
fn children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let of = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(
            u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or_default(),
        )
    };
    Ok(of(usage.user_time()) + of(usage.system_time()))
}

/// The number that stands before these words.
fn before(text: &str, words: &str) -> Option<u64> {
    let (head, _) = text.split_once(words)?;
    head.rsplit(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

fn installed(program: &str, package: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join(program));
    found.into_iter().find(|program| program.exists()).with_context(|| {
        format!("{program} is not on PATH; install it (Debian, Ubuntu: apt-get install {package})")
    })
}

#[cfg(test)]
mod tests {
    use super::before;

    #[test]
    fn what_testers_say_is_read() {
        let wrk = "  234 requests in 5.00s, 1.11MB read\nRequests/sec:  40219.52\n";
        assert_eq!(before(wrk, " requests in "), Some(234));
        let h2load = "requests: 90 total, 90 started, 90 done, 87 succeeded, 3 failed, 3 errored, 0 timeout\n";
        assert_eq!(before(h2load, " succeeded,"), Some(87));
        assert_eq!(before("nothing", " succeeded,"), None);
    }
}
