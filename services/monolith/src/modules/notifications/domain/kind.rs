//! What a notification is about.

/// The kinds; each has a mail template of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The person has signed up.
    Welcome,
    /// A task became theirs.
    Assignment,
    /// A comment names them.
    Mention,
}

impl Kind {
    /// Every kind, in the order of the contract.
    pub const ALL: [Self; 3] = [Self::Welcome, Self::Assignment, Self::Mention];

    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::Assignment => "assignment",
            Self::Mention => "mention",
        }
    }

    /// The kind of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::Kind;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::named(kind.name()), Some(kind));
        }
        assert_eq!(Kind::named("reminder"), None);
    }
}
