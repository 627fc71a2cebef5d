//! How much memory the stack's processes take.

use std::collections::HashMap;
use std::fs;

use serde::Serialize;

use super::Entry;

/// The memory of one process of the stack.
#[derive(Debug, Serialize)]
pub struct Memory {
    pub name: String,
    /// Proportional set size in 10⁶ bytes, with what it started (PostgreSQL has a process a connection): of
    /// memory that is shared each process counts its part. Absent where the system does not tell.
    pub pss_mb: Option<f64>,
}

impl Memory {
    /// Asks for all of them.
    pub fn of(processes: &[Entry]) -> Vec<Self> {
        let parents = parents();
        let living = processes.iter().filter(|entry| entry.alive());
        let memory = |entry: &Entry| Self {
            name: entry.name.clone(),
            pss_mb: family_mb(entry.pid, &parents),
        };
        living.map(memory).collect()
    }

    /// For a table.
    pub fn text(&self) -> String {
        self.pss_mb.map_or_else(|| "not known".to_owned(), |megabytes| format!("{megabytes:.0}"))
    }
}

/// By process its parent; empty without `/proc`.
fn parents() -> HashMap<i32, i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

/// Name in parentheses, state, parent (`proc_pid_stat(5)`).
fn parent(pid: i32) -> Option<i32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}

/// A process and all that come from it, at this moment.
pub fn family_of(pid: i32) -> Vec<i32> {
    family(pid, &parents())
}

fn family(pid: i32, parents: &HashMap<i32, i32>) -> Vec<i32> {
    let mut family = vec![pid];
    let mut known = 0;
    while let Some(parent) = family.get(known).copied() {
        family.extend(parents.iter().filter(|(_, of)| **of == parent).map(|(child, _)| *child));
        known += 1;
    }
    family
}

/// A child that ended meanwhile takes none.
fn family_mb(pid: i32, parents: &HashMap<i32, i32>) -> Option<f64> {
    let children = family(pid, parents).into_iter().skip(1).filter_map(pss_mb);
    Some(pss_mb(pid)? + children.sum::<f64>())
}

fn pss_mb(pid: i32) -> Option<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024.0 / 1_000_000.0)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::family;

    #[test]
    fn a_family_is_everything_that_a_process_began() {
        let parents = HashMap::from([(2, 1), (3, 2), (4, 3), (5, 1), (6, 5)]);
        let mut of_two = family(2, &parents);
        of_two.sort_unstable();
        assert_eq!(of_two, [2, 3, 4]);
        assert_eq!(family(6, &parents), [6]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_running_process_has_memory() {
        let me = i32::try_from(std::process::id()).expect("a pid fits");
        assert!(super::pss_mb(me).is_some_and(|megabytes| megabytes > 0.5));
        assert!(super::pss_mb(i32::MAX).is_none());
    }
}
