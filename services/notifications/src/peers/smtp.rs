//! The mail server.

use std::time::Duration;

use anyhow::Context;
use ficus_process::trace;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::PoolConfig;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use tracing::Instrument as _;

use super::Failed;
use crate::domain::mail::Letter;

/// From asking for a connection to the server's last word.
const DEADLINE: Duration = Duration::from_secs(5);

/// The trace goes on in the mail.
const TRACEPARENT: HeaderName = HeaderName::new_from_ascii_str(trace::TRACEPARENT);

const SENDER: &str = "Trellis <trellis@trellis.local>";

/// Hands mails over by SMTP, over connections that are kept.
#[derive(Clone)]
pub struct Smtp(AsyncSmtpTransport<Tokio1Executor>);

impl Smtp {
    /// The server at `host:port`, without TLS: it is one's own relay. At most `connections` at once.
    pub fn at(address: &str, connections: u32) -> anyhow::Result<Self> {
        let (host, port) = address.rsplit_once(':').context("SMTP_ADDRESS must be host:port")?;
        let port = port.parse().context("SMTP_ADDRESS must end in a port")?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
            .port(port)
            .timeout(Some(DEADLINE))
            .pool_config(PoolConfig::new().max_size(connections))
            .build();
        Ok(Self(transport))
    }

    /// Returns when the server has taken the mail.
    pub async fn send(&self, letter: Letter) -> Result<(), Failed> {
        let span = tracing::info_span!("smtp", otel.name = "send mail", otel.kind = "client");
        self.hand_over(letter).instrument(span).await
    }

    async fn hand_over(&self, letter: Letter) -> Result<(), Failed> {
        let message = compose(letter)?;
        let sent = tokio::time::timeout(DEADLINE, self.0.send(message)).await;
        sent.map_err(|_| Failed::new("the mail server did not answer in time"))?
            .map_err(|error| Failed::new(format!("the mail server answered: {error}")))?;
        Ok(())
    }
}

fn compose(letter: Letter) -> Result<Message, Failed> {
    let failed = |error: String| Failed::new(format!("failed to compose the mail: {error}"));
    let address = letter.to.email.parse().map_err(|error| failed(format!("{error}")))?;
    let message = Message::builder()
        .from(SENDER.parse::<Mailbox>().map_err(|error| failed(error.to_string()))?)
        .to(Mailbox::new(Some(letter.to.name), address))
        .subject(letter.subject)
        .message_id(Some(letter.message_id))
        .header(ContentType::TEXT_PLAIN);
    let message = match trace::current_traceparent() {
        Some(text) => message.raw_header(HeaderValue::new(TRACEPARENT, text)),
        None => message,
    };
    message.body(letter.body).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::domain::mail::Person;

    #[test]
    fn the_message_carries_its_id_and_survives_odd_names() {
        let message = compose(Letter {
            message_id: "<mail-7@trellis.local>".to_owned(),
            to: Person { name: "Änne \"A\", B".to_owned(), email: "a@example.org".to_owned() },
            subject: "Täsk\r\nBcc: x@example.org".to_owned(),
            body: "Hello ☃\n".to_owned(),
        });
        let text = String::from_utf8(message.unwrap().formatted()).unwrap();
        assert!(text.contains("Message-ID: <mail-7@trellis.local>\r\n"), "{text}");
        assert!(!text.contains("\r\nBcc:"), "{text}");
    }
}
