//! The text form of PostgreSQL's `pg_snapshot`, `xmin:xmax:xip_list`
//! (<https://www.postgresql.org/docs/current/functions-info.html>, section on transaction ids and snapshots).

use std::{fmt, str::FromStr};

/// A snapshot: which top-level transactions were over when it was taken. Ids are `xid8`, which do not wrap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    xmin: u64,
    xmax: u64,
    xip: Vec<u64>,
}

/// A text that is no `pg_snapshot`.
#[derive(Debug, thiserror::Error)]
#[error("failed to read {0:?} as a pg_snapshot")]
pub struct NotASnapshot(String);

impl Snapshot {
    /// Sees nothing but what was there when the server was made.
    pub fn beginning() -> Self {
        Self { xmin: 3, xmax: 3, xip: Vec::new() }
    }

    /// Every transaction below it was over.
    pub fn xmin(&self) -> u64 {
        self.xmin
    }

    /// No transaction from here on had been begun.
    pub fn xmax(&self) -> u64 {
        self.xmax
    }

    /// Whether what the transaction committed is visible to it.
    pub fn sees(&self, xid: u64) -> bool {
        xid < self.xmin || (xid < self.xmax && !self.xip.contains(&xid))
    }
}

impl FromStr for Snapshot {
    type Err = NotASnapshot;

    fn from_str(text: &str) -> Result<Self, NotASnapshot> {
        let wrong = || NotASnapshot(text.to_owned());
        let mut parts = text.split(':');
        let mut number = || parts.next().and_then(|p| p.parse().ok()).ok_or_else(wrong);
        let (xmin, xmax) = (number()?, number()?);
        let list = parts.next().ok_or_else(wrong)?;
        let xip = list
            .split(',')
            .filter(|id| !id.is_empty())
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| wrong())?;
        Ok(Self { xmin, xmax, xip })
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list: Vec<String> = self.xip.iter().map(ToString::to_string).collect();
        write!(f, "{}:{}:{}", self.xmin, self.xmax, list.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sees_what_was_over_and_not_what_was_open() {
        let snapshot: Snapshot = "10:20:10,14".parse().expect("a snapshot");
        assert!(snapshot.sees(9) && snapshot.sees(11) && snapshot.sees(19));
        assert!(!snapshot.sees(10) && !snapshot.sees(14) && !snapshot.sees(20));
        assert_eq!(snapshot.to_string(), "10:20:10,14");
        assert_eq!("7:7:".parse::<Snapshot>().expect("a snapshot").to_string(), "7:7:");
        assert!("7".parse::<Snapshot>().is_err());
    }
}
