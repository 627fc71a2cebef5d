//! The mail server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use ficus_process::trace;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::extension::ClientId;
use tracing::Instrument as _;

use super::domain::{Letter, Obstacle};

/// From asking for a connection to the server's last word: less than a request may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// One that has been at rest for longer may have been forgotten on the way, without a word to either end.
const AT_REST: Duration = Duration::from_mins(1);

/// The trace goes on in the mail.
const TRACEPARENT: HeaderName = HeaderName::new_from_ascii_str(trace::TRACEPARENT);

const SENDER: &str = "Trellis <trellis@trellis.local>";

/// Hands mails over by SMTP, over connections that are kept.
///
/// Not over the library's pool: that takes back a connection whose conversation was dropped half way, and what the
/// server says late is then taken for its answer to the next command, so that a mail counts as taken that is not.
#[derive(Clone)]
pub struct Smtp {
    server: (Arc<str>, u16),
    /// At rest between two mails, and since when; `connections` at most.
    idle: Arc<Mutex<Vec<(Instant, AsyncSmtpConnection)>>>,
    connections: usize,
}

impl Smtp {
    /// The server at `host:port`, without TLS: it is one's own relay. At most `connections` are kept.
    pub fn at(address: &str, connections: u32) -> anyhow::Result<Self> {
        let (host, port) = address.rsplit_once(':').context("SMTP_ADDRESS must be host:port")?;
        let port = port.parse().context("SMTP_ADDRESS must end in a port")?;
        Ok(Self {
            server: (host.into(), port),
            idle: Arc::default(),
            connections: connections as usize,
        })
    }

    /// Returns when the server has taken the mail.
    ///
    /// # Errors
    /// What went wrong, in words for the delivery log.
    pub async fn send(&self, letter: Letter) -> Result<(), Unsent> {
        let span = tracing::info_span!("smtp", otel.name = "send mail", otel.kind = "client");
        self.hand_over(letter).instrument(span).await
    }

    async fn hand_over(&self, letter: Letter) -> Result<(), Unsent> {
        let message =
            compose(letter).map_err(|reason| Unsent { reason, obstacle: Obstacle::Refused })?;
        let sent = tokio::time::timeout(DEADLINE, self.converse(&message)).await;
        let silent = "the mail server did not answer in time";
        sent.map_err(|_| Unsent { reason: silent.to_owned(), obstacle: Obstacle::Away })?.map_err(
            |(obstacle, error)| {
                let reason = format!("the mail server answered: {error}");
                Unsent { reason, obstacle }
            },
        )
    }

    /// Whoever drops it half way drops the connection too.
    async fn converse(&self, message: &Message) -> Result<(), (Obstacle, smtp::Error)> {
        // A server that turns everybody away says nothing of the mail.
        let connection = self.connection().await;
        let mut connection = connection.map_err(|error| (Obstacle::Away, error))?;
        let sent = connection.send(message.envelope(), &message.formatted()).await;
        sent.map_err(|error| (obstacle(&error), error))?;
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < self.connections {
            idle.push((Instant::now(), connection));
        }
        Ok(())
    }

    /// One that was kept and still answers, else a new one.
    async fn connection(&self) -> Result<AsyncSmtpConnection, smtp::Error> {
        let kept = || self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        while let Some((since, mut connection)) = kept() {
            if since.elapsed() < AT_REST && connection.test_connected().await {
                return Ok(connection);
            }
        }
        let (host, port) = &self.server;
        let server = (&**host, *port);
        AsyncSmtpConnection::connect_tokio1(server, None, &ClientId::default(), None, None).await
    }
}

/// Why a mail was not sent.
pub struct Unsent {
    /// For the delivery log.
    pub reason: String,
    pub obstacle: Obstacle,
}

/// What an error says of the mail. Everything that is no answer of the server's says nothing.
fn obstacle(error: &smtp::Error) -> Obstacle {
    if error.is_permanent() || error.is_client() {
        Obstacle::Refused
    } else if error.is_transient() {
        Obstacle::PutOff
    } else {
        Obstacle::Away
    }
}

fn compose(letter: Letter) -> Result<Message, String> {
    let failed = |error: &dyn std::fmt::Display| format!("failed to compose the mail: {error}");
    let address = letter.to.email.parse().map_err(|error| failed(&error))?;
    let message = Message::builder()
        .from(SENDER.parse::<Mailbox>().map_err(|error| failed(&error))?)
        .to(Mailbox::new(Some(letter.to.name), address))
        .subject(letter.subject)
        .message_id(Some(letter.message_id))
        .header(ContentType::TEXT_PLAIN);
    let message = match trace::current_traceparent() {
        Some(text) => message.raw_header(HeaderValue::new(TRACEPARENT, text)),
        None => message,
    };
    message.body(letter.body).map_err(|error| failed(&error))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::modules::auth::Person;

    #[test]
    fn the_message_carries_its_id_and_survives_odd_names() {
        let name = "Änne \"A\", B".to_owned();
        let message = compose(Letter {
            message_id: "<mail-7@trellis.local>".to_owned(),
            to: Person { user_id: 3, name, email: "a@example.org".to_owned() },
            subject: "Täsk\r\nBcc: x@example.org".to_owned(),
            body: "Hello ☃\n".to_owned(),
        });
        let text = String::from_utf8(message.unwrap().formatted()).unwrap();
        assert!(text.contains("Message-ID: <mail-7@trellis.local>\r\n"), "{text}");
        assert!(!text.contains("\r\nBcc:"), "{text}");
    }
}
