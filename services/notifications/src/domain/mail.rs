//! Mails: what they say, and when one that failed is tried again.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::Kind;

/// After so many attempts a mail has failed.
pub const ATTEMPTS: i32 = 5;

/// How far a mail is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Queued,
    Sending,
    Sent,
    Failed,
}

impl State {
    /// The state of this name in the database.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "queued" => Some(Self::Queued),
            "sending" => Some(Self::Sending),
            "sent" => Some(Self::Sent),
            "failed" => Some(Self::Failed),
            _ => None,
        }
    }
}

/// One line of the delivery log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub id: i64,
    pub kind: Option<Kind>,
    pub state: State,
    pub attempts: i32,
    pub last_error: Option<String>,
    pub created_at: DateTime<Utc>,
    pub sent_at: Option<DateTime<Utc>>,
}

/// A mail that this process has claimed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub mail_id: i64,
    pub user_id: i64,
    pub task_id: Option<i64>,
    pub subject: String,
    pub body: String,
    /// Of what caused the mail.
    pub traceparent: Option<String>,
    /// This one included.
    pub attempts: i32,
}

/// Whom a mail goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    pub name: String,
    pub email: String,
}

/// What is handed to the mail server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// The same at every attempt, so that a repeated mail can be known as one.
    pub message_id: String,
    pub to: Person,
    pub subject: String,
    pub body: String,
}

impl Letter {
    /// Fills the claimed mail's template in.
    pub fn write(claim: &Claim, to: Person) -> Self {
        let task = claim.task_id.map(|id| id.to_string()).unwrap_or_default();
        let fill = |text: &str| text.replace("{task}", &task).replace("{name}", &to.name);
        Self {
            message_id: format!("<mail-{}@trellis.local>", claim.mail_id),
            subject: fill(&claim.subject),
            body: fill(&claim.body),
            to,
        }
    }
}

/// How long to wait after the attempt of this number failed: 1 s, 2 s, 4 s, 8 s; nothing after the last, unless what
/// failed is `ours`: then the mail is not to blame, and is tried every 8 s.
pub fn backoff(attempts: i32, ours: bool) -> Option<Duration> {
    let doublings = u32::try_from(attempts.min(ATTEMPTS - 1) - 1).unwrap_or(0);
    (ours || attempts < ATTEMPTS).then(|| Duration::from_secs(1 << doublings))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim() -> Claim {
        Claim {
            mail_id: 7,
            user_id: 3,
            task_id: Some(12),
            subject: "{name}, a task".to_owned(),
            body: "Hello {name}, task {task} is yours".to_owned(),
            traceparent: None,
            attempts: 1,
        }
    }

    #[test]
    fn a_letter_is_the_template_filled_in() {
        let to = Person { name: "Änne {task}".to_owned(), email: "a@example.org".to_owned() };
        let letter = Letter::write(&claim(), to);
        assert_eq!(letter.message_id, "<mail-7@trellis.local>");
        assert_eq!(letter.subject, "Änne {task}, a task");
        assert_eq!(letter.body, "Hello Änne {task}, task 12 is yours");
    }

    #[test]
    fn waits_double_until_the_last_attempt() {
        let waits: Vec<_> = (1..=6).map(|n| backoff(n, false).map(|wait| wait.as_secs())).collect();
        assert_eq!(waits, [Some(1), Some(2), Some(4), Some(8), None, None]);
        assert_eq!(backoff(1, true), Some(Duration::from_secs(1)));
        assert_eq!(backoff(60, true), Some(Duration::from_secs(8)), "never given up");
    }
}
