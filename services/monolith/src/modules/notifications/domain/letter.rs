//! Mails: what they say, and when one that failed is tried again.

use std::time::Duration;

use crate::modules::auth::Person;

/// A mail that this process has claimed, with its template.
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
        // The name last: what it says is not a template.
        let fill = |text: &str| text.replace("{task}", &task).replace("{name}", &to.name);
        Self {
            message_id: format!("<mail-{}@trellis.local>", claim.mail_id),
            subject: fill(&claim.subject),
            body: fill(&claim.body),
            to,
        }
    }
}

/// What keeps a mail from being delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// The mail server is away, or another part of the system, which says nothing of the mail.
    Away,
    /// The mail server puts it off: its reply begins with 4.
    PutOff,
    /// It cannot be delivered: the mail server's reply begins with 5, or there is nobody to write to.
    Refused,
}

/// How long to wait after the attempt of this number met an obstacle; `None` gives the mail up. Waits double from 1 s, up
/// to 8 s while somebody is away and to 1,024 s for what is put off. Only a refusal gives a mail up: others may be kept
/// for days (RFC 5321, section 4.5.4.1), which costs a row and an attempt in 17 minutes.
pub fn backoff(attempts: i32, obstacle: Obstacle) -> Option<Duration> {
    let most = match obstacle {
        Obstacle::Away => 3,
        Obstacle::PutOff => 10,
        Obstacle::Refused => return None,
    };
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(most);
    Some(Duration::from_secs(1 << doublings))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_is_the_template_filled_in() {
        let claim = Claim {
            mail_id: 7,
            user_id: 3,
            task_id: Some(12),
            subject: "{name}, a task".to_owned(),
            body: "Hello {name}, task {task} is yours".to_owned(),
            traceparent: None,
            attempts: 1,
        };
        let email = "a@example.org".to_owned();
        let to = Person { user_id: 3, name: "Änne {task}".to_owned(), email };
        let letter = Letter::write(&claim, to);
        assert_eq!(letter.message_id, "<mail-7@trellis.local>");
        assert_eq!(letter.subject, "Änne {task}, a task");
        assert_eq!(letter.body, "Hello Änne {task}, task 12 is yours");
    }

    #[test]
    fn waits_double_and_only_a_refusal_gives_up() {
        let waits = |obstacle| {
            [1, 2, 3, 4, 5, 11, 12, i32::MAX]
                .map(|n| backoff(n, obstacle).map(|wait| wait.as_secs()))
        };
        assert_eq!(waits(Obstacle::Away), [1, 2, 4, 8, 8, 8, 8, 8].map(Some));
        assert_eq!(waits(Obstacle::PutOff), [1, 2, 4, 8, 16, 1024, 1024, 1024].map(Some));
        assert_eq!(waits(Obstacle::Refused), [None; 8]);
    }
}
