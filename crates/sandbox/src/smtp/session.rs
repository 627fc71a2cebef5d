//! One connection: commands in, replies out, in order, so that pipelined commands work.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use ficus_process::trace;
use tracing::Instrument as _;

use super::{Mailbox, mailbox};

const MAX_LINE: u64 = 64 * 1024;
const MAX_MAIL: usize = 10 * 1024 * 1024;
/// RFC 5321, 4.5.3.2.7.
const IDLE: Duration = Duration::from_mins(5);
const GREETING: &str = "220 sandbox ESMTP\r\n";
const EXTENSIONS: &str = "250-sandbox\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n";

/// The mail that is being handed over.
#[derive(Default)]
struct Envelope {
    from: Option<String>,
    recipients: Vec<String>,
}

pub async fn run(mut stream: TcpStream, mailbox: Arc<Mailbox>) {
    let (reader, mut writer) = stream.split();
    let talk = talk(BufReader::new(reader), &mut writer, &mailbox);
    if let Err(error) = talk.await {
        tracing::debug!(%error, "a mail connection ended");
    }
}

async fn talk(
    mut reader: impl AsyncBufRead + Unpin,
    writer: &mut (impl tokio::io::AsyncWrite + Unpin),
    mailbox: &Mailbox,
) -> io::Result<()> {
    let mut envelope = Envelope::default();
    writer.write_all(GREETING.as_bytes()).await?;
    while let Some(line) = read_line(&mut reader).await? {
        let line = String::from_utf8_lossy(&line);
        let (verb, argument) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let verb = verb.to_ascii_uppercase();
        let reply = match verb.as_str() {
            "DATA" if envelope.recipients.is_empty() => "503 no recipients\r\n",
            "DATA" => {
                writer.write_all(b"354 end with a line that is a dot\r\n").await?;
                let content = read_content(&mut reader).await?;
                keep(mailbox, std::mem::take(&mut envelope), content).await
            }
            _ => envelope.answer(&verb, argument),
        };
        writer.write_all(reply.as_bytes()).await?;
        if verb == "QUIT" {
            break;
        }
    }
    writer.shutdown().await
}

impl Envelope {
    fn answer(&mut self, verb: &str, argument: &str) -> &'static str {
        match verb {
            "EHLO" | "HELO" | "RSET" => {
                *self = Self::default();
                if verb == "EHLO" { EXTENSIONS } else { "250 ok\r\n" }
            }
            "MAIL" => self.set_sender(argument),
            "RCPT" if self.from.is_none() => "503 MAIL comes first\r\n",
            "RCPT" => self.add_recipient(argument),
            "NOOP" => "250 ok\r\n",
            "QUIT" => "221 bye\r\n",
            _ => "502 command not implemented\r\n",
        }
    }

    fn set_sender(&mut self, argument: &str) -> &'static str {
        match (address(argument, "FROM:"), &self.from) {
            (_, Some(_)) => "503 the sender is given already\r\n",
            (None, _) => "501 no address\r\n",
            (from, None) => {
                self.from = from;
                "250 ok\r\n"
            }
        }
    }

    fn add_recipient(&mut self, argument: &str) -> &'static str {
        match address(argument, "TO:") {
            Some(to) if !to.is_empty() => {
                self.recipients.push(to);
                "250 ok\r\n"
            }
            _ => "501 no address\r\n",
        }
    }
}

/// `<address>` after `prefix`; what follows it, as `BODY=8BITMIME`, is of no interest.
fn address(argument: &str, prefix: &str) -> Option<String> {
    let given = argument.get(..prefix.len())?;
    let path = argument.get(prefix.len()..)?.trim_start().strip_prefix('<')?;
    let (address, _) = path.split_once('>')?;
    given.eq_ignore_ascii_case(prefix).then(|| address.to_owned())
}

/// The reply to a mail. 250 only once it is kept.
async fn keep(mailbox: &Mailbox, envelope: Envelope, content: Option<Vec<u8>>) -> &'static str {
    let Some(content) = content else { return "552 the mail is too large\r\n" };
    let span = tracing::info_span!("take", otel.name = "take a mail", otel.kind = "server");
    trace::continues(&span, mailbox::traceparent(&content).as_deref());
    kept(mailbox, &envelope, &content).instrument(span).await
}

async fn kept(mailbox: &Mailbox, envelope: &Envelope, content: &[u8]) -> &'static str {
    tokio::time::sleep(mailbox.delay()).await;
    match mailbox.keep(&envelope.recipients, content).await {
        Ok(()) => "250 kept\r\n",
        Err(error) => {
            tracing::error!(%error, "failed to keep a mail");
            "451 failed to keep the mail\r\n"
        }
    }
}

/// A line without its end; `None` when the client has gone.
async fn read_line(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut limited = reader.take(MAX_LINE);
    tokio::time::timeout(IDLE, limited.read_until(b'\n', &mut line)).await??;
    if line.pop() != Some(b'\n') {
        return Ok(None);
    }
    line.pop_if(|last| *last == b'\r');
    Ok(Some(line))
}

/// The mail without its dot-stuffing (RFC 5321, 4.5.2); `None` if it is too large.
async fn read_content(reader: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    let mut size = 0;
    loop {
        let line = read_line(reader).await?.ok_or(io::ErrorKind::UnexpectedEof)?;
        if line == b"." {
            return Ok((size <= MAX_MAIL).then_some(content));
        }
        size += line.len() + 2;
        if size <= MAX_MAIL {
            content.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
            content.extend_from_slice(b"\r\n");
        }
    }
}
