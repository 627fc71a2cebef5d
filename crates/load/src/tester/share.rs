//! Several testers with one schedule.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// `1/4`: every fourth request from the second one on is this tester's. The first of four is `0/4`, as the completion
/// index of a Kubernetes Job has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Share {
    pub part: u32,
    pub of: u32,
}

/// All of it.
impl Default for Share {
    fn default() -> Self {
        Self { part: 0, of: 1 }
    }
}

impl Share {
    pub fn is_whole(self) -> bool {
        self.of == 1
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.part, self.of)
    }
}

impl From<Share> for String {
    fn from(share: Share) -> Self {
        share.to_string()
    }
}

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('/').and_then(|(part, of)| {
            Some(Self { part: part.trim().parse().ok()?, of: of.trim().parse().ok()? })
        });
        parts.filter(|share| share.part < share.of && share.of <= 10_000).ok_or_else(|| {
            format!("\"{text}\" is no share; say 0/4, 1/4, 2/4 and 3/4 to four testers")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_one_of_so_many() {
        assert_eq!("1/4".parse(), Ok(Share { part: 1, of: 4 }));
        assert_eq!("0/1".parse(), Ok(Share::default()));
        assert_eq!(Share { part: 1, of: 4 }.to_string(), "1/4");
        for wrong in ["", "1", "4/4", "-1/4", "0/0", "a/b", "1/99999"] {
            assert!(wrong.parse::<Share>().expect_err(wrong).contains("0/4, 1/4"), "{wrong}");
        }
    }
}
