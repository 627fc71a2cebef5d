//! How much of the processor a process has taken.

use std::fs;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::stack::memory;

/// What a process, its threads and all that it started have taken since they began: of what ended meanwhile
/// nothing. Linux tells it to the nanosecond (`proc_pid_schedstat`).
pub fn taken(pid: i32) -> Result<Duration> {
    let family = memory::family_of(pid);
    let threads: Vec<u64> = family.iter().flat_map(|pid| threads(*pid)).collect();
    if threads.is_empty() {
        bail!("the system does not tell what process {pid} takes of the processor");
    }
    Ok(Duration::from_nanos(threads.iter().sum()))
}

/// Nanoseconds of each thread that has not ended.
fn threads(pid: i32) -> Vec<u64> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let files = tasks.flatten().map(|task| task.path().join("schedstat"));
    files.filter_map(|file| spent(&fs::read_to_string(file).ok()?).ok()).collect()
}

fn spent(schedstat: &str) -> Result<u64> {
    let first = schedstat.split(' ').next().context("the file is empty")?;
    Ok(first.trim().parse()?)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::hint::black_box;

    use super::{spent, taken};

    #[test]
    fn the_first_field_is_the_time() {
        assert_eq!(spent("1431845 1161069 2\n").ok(), Some(1_431_845));
        assert!(spent("").is_err());
    }

    #[test]
    fn work_takes_time() {
        let me = i32::try_from(std::process::id()).expect("a pid fits");
        let before = taken(me).expect("Linux tells");
        let mut sum = 0_u64;
        while taken(me).expect("Linux tells") == before {
            sum = (0..100_000).fold(sum, |sum, number| sum.wrapping_add(black_box(number)));
        }
        assert!(taken(me).expect("Linux tells") > before, "{sum}");
    }
}
