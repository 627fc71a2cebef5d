//! Which kinds reach a person, and how.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Kind;

/// How one kind reaches a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    pub in_app: bool,
    pub email: bool,
}

impl Default for Setting {
    fn default() -> Self {
        Self { in_app: true, email: true }
    }
}

/// What a person has chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// By the kind's name; only what the person has ever set.
    pub settings: BTreeMap<String, Setting>,
    /// Goes up by one with every change; 0 before the first.
    pub version: i64,
}

impl Preferences {
    /// Every kind in the order of the contract; what was never set stands at its default.
    pub fn all(&self) -> impl Iterator<Item = (Kind, Setting)> + '_ {
        Kind::ALL.into_iter().map(|kind| {
            let setting = self.settings.get(kind.name()).copied().unwrap_or_default();
            (kind, setting)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_was_never_set_stands_at_its_default() {
        let quiet = Setting { in_app: false, email: true };
        let settings = BTreeMap::from([("mention".to_owned(), quiet)]);
        let all: Vec<_> = Preferences { settings, version: 1 }.all().collect();
        let default = Setting::default();
        assert_eq!(
            all,
            [(Kind::Welcome, default), (Kind::Assignment, default), (Kind::Mention, quiet)]
        );
    }
}
