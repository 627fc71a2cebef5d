//! Where mails lie: a file of JSON lines, and how long a mail takes to be accepted.

use std::{
    io,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use chrono::SecondsFormat;
use ficus_process::{Clock, trace};
use tokio::{fs::File, io::AsyncWriteExt as _, sync::Mutex};

/// Every mail that was accepted since the file was made.
pub struct Mailbox {
    file: Mutex<File>,
    count: AtomicU64,
    delay_ms: AtomicU64,
    clock: Clock,
}

#[derive(serde::Serialize)]
struct Line<'a> {
    message_id: &'a str,
    to: &'a str,
    subject: &'a str,
    received_at: String,
    bytes: usize,
}

impl Mailbox {
    pub async fn open(path: &Path, clock: Clock) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path).await?;
        let kept = tokio::fs::read(path).await?;
        let lines = kept.split(|byte| *byte == b'\n').count() - 1;
        Ok(Self {
            file: Mutex::new(file),
            count: AtomicU64::new(lines as u64),
            delay_ms: AtomicU64::new(0),
            clock,
        })
    }

    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    pub fn set_delay(&self, delay: Duration) {
        let milliseconds = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.delay_ms.store(milliseconds, Ordering::Release);
    }

    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.delay_ms.load(Ordering::Acquire))
    }

    /// Returns when the line has been handed to the operating system: it outlives this process.
    pub async fn keep(&self, recipients: &[String], content: &[u8]) -> io::Result<()> {
        let line = self.line(recipients, content)?;
        let mut file = self.file.lock().await;
        file.write_all(&line).await?;
        file.flush().await?;
        self.count.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn line(&self, recipients: &[String], content: &[u8]) -> io::Result<Vec<u8>> {
        let head = head(content);
        let mut line = serde_json::to_vec(&Line {
            message_id: header(&head, "Message-ID"),
            to: &recipients.join(", "),
            subject: header(&head, "Subject"),
            received_at: self.clock.now().to_rfc3339_opts(SecondsFormat::Micros, true),
            bytes: content.len(),
        })?;
        line.push(b'\n');
        Ok(line)
    }
}

/// The trace that the mail belongs to, if it says so.
pub fn traceparent(content: &[u8]) -> Option<String> {
    let head = head(content);
    Some(header(&head, trace::TRACEPARENT)).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// The header section with folded lines joined (RFC 5322, 2.2.3).
fn head(content: &[u8]) -> String {
    let text = String::from_utf8_lossy(content);
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    head.replace("\r\n ", " ").replace("\r\n\t", " ")
}

fn header<'a>(head: &'a str, name: &str) -> &'a str {
    let value = head.lines().find_map(|line| {
        let (field, value) = line.split_once(':')?;
        field.eq_ignore_ascii_case(name).then_some(value)
    });
    value.unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_whatever_their_case_and_folding() {
        let head = head(b"message-id: <1@x>\r\nSubject: one\r\n two\r\n\r\nSubject: not this");
        assert_eq!(header(&head, "Message-ID"), "<1@x>");
        assert_eq!(header(&head, "Subject"), "one two");
        assert_eq!(header(&head, "To"), "");
    }
}
