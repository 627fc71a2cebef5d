//! The mail server.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use ficus_process::trace;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{
    ClientId, Extension, MailBodyParameter, MailParameter, ServerInfo,
};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument as _;

use super::Failed;
use crate::domain::mail::{Letter, Obstacle};

/// From asking for a connection to the server's word to go on with the mail itself.
const DEADLINE: Duration = Duration::from_secs(5);

/// From there to the server's answer to the mail, which it may keep also where nobody waits for that any more: sent
/// again it would be there twice (RFC 1047). RFC 5321, section 4.5.3.2.6 asks for this long.
const ANSWER: Duration = Duration::from_mins(10);

/// For the farewell to a server that refused something.
const FAREWELL: Duration = Duration::from_secs(1);

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
    pub async fn send(&self, letter: Letter) -> Result<(), Failed> {
        let span = tracing::info_span!("smtp", otel.name = "send mail", otel.kind = "client");
        self.hand_over(letter).instrument(span).await
    }

    /// Whoever drops it half way drops the connection too.
    async fn hand_over(&self, letter: Letter) -> Result<(), Failed> {
        let message = compose(letter)?;
        let by = Instant::now() + DEADLINE;
        let connection = timeout_at(by, self.connection()).await.map_err(|_| silent())?;
        // A server that turns everybody away says nothing of the mail.
        let mut connection =
            connection.map_err(|error| Failed { obstacle: Obstacle::Away, ..answered(&error) })?;
        if let Err(failed) = converse(&mut connection, &message, by).await {
            if failed.obstacle != Obstacle::Away {
                let _ = timeout(FAREWELL, connection.abort()).await;
            }
            return Err(failed);
        }
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

/// One mail. `by` is when the server must have said to go on with it.
async fn converse(
    connection: &mut AsyncSmtpConnection,
    message: &Message,
    by: Instant,
) -> Result<(), Failed> {
    let (envelope, text) = (message.envelope(), message.formatted());
    let parameters = parameters(connection.server_info(), envelope, &text)?;
    let announced = timeout_at(by, announce(connection, envelope, parameters)).await;
    announced.map_err(|_| silent())?.map_err(|error| answered(&error))?;
    let taken = timeout(ANSWER, connection.message(&text)).await;
    taken.map_err(|_| silent())?.map_err(|error| answered(&error))?;
    Ok(())
}

/// Up to the server's word to go on with the mail itself.
async fn announce(
    connection: &mut AsyncSmtpConnection,
    envelope: &Envelope,
    parameters: Vec<MailParameter>,
) -> Result<(), smtp::Error> {
    connection.command(Mail::new(envelope.from().cloned(), parameters)).await?;
    for recipient in envelope.to() {
        connection.command(Rcpt::new(recipient.clone(), Vec::new())).await?;
    }
    connection.command(Data).await?;
    Ok(())
}

/// What MAIL must say of addresses (RFC 6531) and text (RFC 6152) that are not ASCII. A server that does not know it
/// cannot be given the mail.
fn parameters(
    server: &ServerInfo,
    envelope: &Envelope,
    text: &[u8],
) -> Result<Vec<MailParameter>, Failed> {
    let mut addresses = envelope.from().into_iter().chain(envelope.to());
    let plain = addresses.all(|address| AsRef::<str>::as_ref(address).is_ascii());
    let eight_bits = MailParameter::Body(MailBodyParameter::EightBitMime);
    let needed = [
        (!plain, Extension::SmtpUtfEight, MailParameter::SmtpUtfEight),
        (!text.is_ascii(), Extension::EightBitMime, eight_bits),
    ];
    let mut parameters = Vec::new();
    for (_, extension, parameter) in needed.into_iter().filter(|(is_needed, ..)| *is_needed) {
        if !server.supports_feature(extension) {
            let reason = format!("the mail server does not know {extension}");
            return Err(Failed::new(Obstacle::Refused, reason));
        }
        parameters.push(parameter);
    }
    Ok(parameters)
}

fn silent() -> Failed {
    Failed::away("the mail server did not answer in time")
}

/// Everything that is no answer of the server's says nothing of the mail.
fn answered(error: &smtp::Error) -> Failed {
    let obstacle = if error.is_permanent() || error.is_client() {
        Obstacle::Refused
    } else if error.is_transient() {
        Obstacle::PutOff
    } else {
        Obstacle::Away
    };
    // What it says is written down, and PostgreSQL keeps no NUL.
    let reason = format!("the mail server answered: {error}").replace('\0', "\u{fffd}");
    Failed::new(obstacle, reason)
}

fn compose(letter: Letter) -> Result<Message, Failed> {
    let failed = |error: String| {
        Failed::new(Obstacle::Refused, format!("failed to compose the mail: {error}"))
    };
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

    #[test]
    fn a_server_is_told_of_an_address_that_is_not_ascii_if_it_knows_such() {
        let message = compose(Letter {
            message_id: "<mail-7@trellis.local>".to_owned(),
            to: Person { name: "Änne".to_owned(), email: "änne@example.org".to_owned() },
            subject: "Task".to_owned(),
            body: "Hello ☃\n".to_owned(),
        })
        .unwrap();
        let told = |greeting: &str| {
            let server = ServerInfo::from_response(&greeting.parse().unwrap()).unwrap();
            parameters(&server, message.envelope(), &message.formatted())
                .map(|parameters| parameters.iter().map(ToString::to_string).collect::<Vec<_>>())
                .map_err(|failed| failed.obstacle)
        };
        let told_all = ["SMTPUTF8", "BODY=8BITMIME"].map(str::to_owned).to_vec();
        assert_eq!(told("250-me\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n"), Ok(told_all));
        assert_eq!(told("250-me\r\n250 8BITMIME\r\n"), Err(Obstacle::Refused));
    }
}
