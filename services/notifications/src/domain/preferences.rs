//! Which kinds reach a person, and how.

use std::collections::BTreeMap;

use super::Kind;

/// How one kind reaches a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Only the kinds that the person has ever set.
    pub chosen: BTreeMap<Kind, Setting>,
    /// Goes up by one with every change; 0 before the first.
    pub version: i64,
}

impl Preferences {
    /// How `kind` reaches the person. A welcome does always.
    pub fn of(&self, kind: Kind) -> Setting {
        self.chosen.get(&kind).copied().unwrap_or_default()
    }

    /// Every kind in the order of the contract.
    pub fn all(&self) -> impl Iterator<Item = (Kind, Setting)> + '_ {
        Kind::ALL.into_iter().map(|kind| (kind, self.of(kind)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_was_never_set_stands_at_its_default() {
        let quiet = Setting { in_app: false, email: true };
        let chosen = BTreeMap::from([(Kind::Mention, quiet)]);
        let preferences = Preferences { chosen, version: 1 };
        let all: Vec<_> = preferences.all().collect();
        let default = Setting { in_app: true, email: true };
        assert_eq!(
            all,
            [(Kind::Welcome, default), (Kind::Assignment, default), (Kind::Mention, quiet)]
        );
    }
}
