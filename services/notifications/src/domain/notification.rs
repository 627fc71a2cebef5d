//! What a person is told in the app.

use chrono::{DateTime, Utc};

/// What a notification is about.
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

    /// Its name in the database, which is also the name of its mail's template.
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

/// One entry of a person's inbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub id: i64,
    pub kind: Kind,
    pub workspace_id: i64,
    pub actor_id: Option<i64>,
    pub task_id: Option<i64>,
    pub comment_id: Option<i64>,
    pub read: bool,
    pub created_at: DateTime<Utc>,
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
