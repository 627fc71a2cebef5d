//! Processes that outlive the command that started them.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;

use super::Entry;

/// When the process began, in whatever form the system tells; `None` if there is none or it has ended.
#[cfg(target_os = "linux")]
pub fn started(pid: i32) -> Option<String> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the name in parentheses and may hold anything; state is the third, the start
    // time the twenty-second (proc_pid_stat(5)).
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?;
    (state != "Z").then(|| fields.nth(18).map(str::to_owned))?
}

/// When the process began, in whatever form the system tells; `None` if there is none or it has ended.
#[cfg(not(target_os = "linux"))]
pub fn started(pid: i32) -> Option<String> {
    let output = std::process::Command::new("ps")
        .args(["-o", "stat=,lstart=", "-p", &pid.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let (state, started) = text.trim().split_once(' ')?;
    (!state.starts_with('Z')).then(|| started.trim().to_owned())
}

/// Asks a process to end, and ends it by force after `patience`. Answers whether it had to.
pub async fn stop(entry: &Entry, how: Signal, patience: Duration) -> bool {
    if !entry.alive() {
        return false;
    }
    let pid = Pid::from_raw(entry.pid);
    signal(pid, how);
    if gone(entry, patience).await {
        return false;
    }
    signal(pid, Signal::SIGKILL);
    gone(entry, Duration::from_secs(5)).await;
    true
}

/// Asks a child to end, and ends it by force after `patience`.
pub async fn end(mut child: Child, patience: Duration) -> Result<()> {
    if let Some(pid) = child.id() {
        signal(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM);
    }
    if tokio::time::timeout(patience, child.wait()).await.is_err() {
        child.kill().await?;
    }
    Ok(())
}

/// Sends a process a signal, if it still runs.
pub fn send(entry: &Entry, what: Signal) {
    if entry.alive() {
        signal(Pid::from_raw(entry.pid), what);
    }
}

/// Waits until it has ended; answers whether it did.
pub async fn gone(entry: &Entry, patience: Duration) -> bool {
    let begun = Instant::now();
    while entry.alive() {
        if begun.elapsed() > patience {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    true
}

fn signal(pid: Pid, signal: Signal) {
    match kill(pid, signal) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => eprintln!("lab: failed to signal process {pid}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::started;

    #[test]
    fn a_process_is_told_from_one_that_ended() {
        let me = i32::try_from(std::process::id()).expect("a pid fits");
        assert!(started(me).is_some());
        assert_eq!(started(me), started(me));
        assert_eq!(started(i32::MAX), None);
    }
}
