//! What a task is, and whom a comment mentions.

use std::collections::BTreeSet;

use chrono::NaiveDateTime;
use ficus_rpc::Error;

const LONGEST_TITLE: usize = 500;
const LONGEST_BODY: usize = 20_000;
/// More persons than this one comment cannot mention; the rest of its "@" is text.
const MOST_MENTIONS: usize = 50;

/// How far a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    Doing,
    Done,
}

impl State {
    /// Its name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Doing => "doing",
            Self::Done => "done",
        }
    }

    /// The state of this name in the database.
    pub fn named(name: &str) -> Self {
        match name {
            "doing" => Self::Doing,
            "done" => Self::Done,
            _ => Self::Open,
        }
    }
}

/// A task, and the workspace that it is in.
#[derive(Clone, Debug)]
pub struct Task {
    pub id: i64,
    pub project_id: i64,
    pub workspace_id: i64,
    pub title: String,
    pub state: State,
    pub assignee_id: Option<i64>,
    pub version: i64,
    pub created_at: NaiveDateTime,
}

/// A title, or a project's name.
pub fn title(text: &str) -> Result<&str, Error> {
    let title = text.trim();
    if (1..=LONGEST_TITLE).contains(&title.chars().count()) && !title.contains('\0') {
        Ok(title)
    } else {
        Err(Error::unprocessable("bad_title", "a title or a name has 1 to 500 characters"))
    }
}

/// What a comment says.
pub fn body(text: &str) -> Result<&str, Error> {
    let said = !text.trim().is_empty() && !text.contains('\0');
    if said && text.chars().count() <= LONGEST_BODY {
        Ok(text)
    } else {
        Err(Error::unprocessable("bad_body", "a comment has 1 to 20,000 characters"))
    }
}

/// The ids that a comment's body mentions as "@" and a number, each once, without the author's.
pub fn mentioned(body: &str, author_id: i64) -> Vec<i64> {
    let after_at = body.split('@').skip(1);
    let ids = after_at.filter_map(|text| {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        text[..digits].parse().ok()
    });
    let ids: BTreeSet<i64> = ids.filter(|id| *id != author_id).take(MOST_MENTIONS).collect();
    ids.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mentions_are_numbers_after_an_at_each_once() {
        assert_eq!(mentioned("@42 and @7, @42: look", 1), [7, 42]);
        assert_eq!(mentioned("mail a@b.org, @, @x9 @@5", 1), [5]);
        assert_eq!(mentioned("nobody", 1), [0; 0]);
        assert_eq!(mentioned("@99999999999999999999 @ü1", 1), [0; 0]);
    }

    #[test]
    fn an_author_is_not_mentioned_by_their_own_comment() {
        assert_eq!(mentioned("@1 @2", 1), [2]);
    }

    #[test]
    fn states_are_found_by_their_names() {
        for state in [State::Open, State::Doing, State::Done] {
            assert_eq!(State::named(state.name()), state);
        }
    }

    #[test]
    fn a_title_has_a_length() {
        assert_eq!(title(" Roof ").ok(), Some("Roof"));
        assert!(title(" ").is_err_and(|e| e.code == "bad_title"));
        assert!(title(&"x".repeat(501)).is_err());
        assert!(body("\n ").is_err_and(|e| e.code == "bad_body"));
    }
}
