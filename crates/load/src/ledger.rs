//! The record half of the truth ledger: what clients were told of their writes, kept outside the system.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{Class, Reply, Request};

/// Writes and their answers, in the order of the answers. Nothing in it is ever changed.
#[derive(Debug)]
pub struct Ledger<E> {
    begun: Instant,
    records: Vec<Record<E>>,
    file: Option<BufWriter<File>>,
}

/// One write and what the client was told of it.
#[derive(Debug, Serialize)]
pub struct Record<E> {
    pub number: usize,
    /// As `sign_up`.
    pub kind: &'static str,
    /// Text that only this write leaves in the system.
    pub marker: String,
    pub class: Class,
    pub status: Option<u16>,
    /// What the write does when it is done.
    pub effect: E,
    /// Microseconds since the ledger was opened.
    pub sent_us: u128,
    pub answered_us: u128,
    pub idempotency_key: Option<String>,
    /// The record that this one repeats, with the same idempotency key.
    pub repeats: Option<usize>,
    #[serde(skip)]
    pub request: Request,
}

impl<E> Record<E> {
    /// The record of which this repeat tells what became of it.
    fn settles(&self) -> Option<usize> {
        self.repeats.filter(|_| self.class != Class::Unknown)
    }
}

impl<E: Serialize> Ledger<E> {
    /// A ledger that is also written to `file`, a line of JSON a record.
    pub fn create(file: &Path) -> io::Result<Self> {
        let file = BufWriter::new(File::create(file)?);
        Ok(Self { begun: Instant::now(), records: Vec::new(), file: Some(file) })
    }

    /// A ledger in memory.
    pub fn in_memory() -> Self {
        Self { begun: Instant::now(), records: Vec::new(), file: None }
    }

    /// Puts down what a client was told of a write.
    pub fn append(
        &mut self,
        kind: &'static str,
        marker: String,
        effect: E,
        request: Request,
        reply: &Reply,
    ) -> usize {
        self.put(kind, marker, effect, request, reply, None)
    }

    /// Puts down the answer to a repeated write; `number` is the record that it repeats.
    pub fn append_repeat(&mut self, number: usize, effect: E, reply: &Reply) -> usize {
        let first = &self.records[number];
        let (kind, marker, request) = (first.kind, first.marker.clone(), first.request.clone());
        self.put(kind, marker, effect, request, reply, Some(number))
    }

    /// All records, in the order of their answers.
    pub fn records(&self) -> &[Record<E>] {
        &self.records
    }

    /// Numbers of the records whose writes may or may not have happened.
    pub fn unknown(&self) -> Vec<usize> {
        let settled: HashSet<usize> = self.records.iter().filter_map(Record::settles).collect();
        let unknown = self.records.iter().filter(|record| record.class == Class::Unknown);
        let first = unknown.filter(|record| record.repeats.is_none()).map(|record| record.number);
        first.filter(|number| !settled.contains(number)).collect()
    }

    /// Hands what was put down to the operating system.
    pub fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), BufWriter::flush)
    }

    fn put(
        &mut self,
        kind: &'static str,
        marker: String,
        effect: E,
        request: Request,
        reply: &Reply,
        repeats: Option<usize>,
    ) -> usize {
        let since = |at: Instant| at.saturating_duration_since(self.begun);
        let record = Record {
            number: self.records.len(),
            kind,
            marker,
            class: reply.class,
            status: reply.status.map(|status| status.as_u16()),
            effect,
            sent_us: Duration::as_micros(&since(reply.sent)),
            answered_us: Duration::as_micros(&since(reply.ended)),
            idempotency_key: request.idempotency_key.clone(),
            repeats,
            request,
        };
        self.write(&record);
        self.records.push(record);
        self.records.len() - 1
    }

    /// A ledger that cannot be written to disk still judges from memory.
    fn write(&mut self, record: &Record<E>) {
        let Some(file) = &mut self.file else { return };
        let written = serde_json::to_writer(&mut *file, record).map_err(io::Error::from);
        if written.and_then(|()| file.write_all(b"\n")).is_err() {
            self.file = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use bytes::Bytes;
    use http::{Method, StatusCode};

    use super::Ledger;
    use crate::{Class, Reply, Request};

    fn reply(class: Class) -> Reply {
        let now = Instant::now();
        let status = (class == Class::Acknowledged).then_some(StatusCode::OK);
        Reply { status, class, body: Bytes::new(), sent: now, ended: now, error: String::new() }
    }

    #[test]
    fn a_repeat_is_a_record_of_its_own() {
        let mut ledger = Ledger::in_memory();
        let request = Request {
            route: "POST /a",
            method: Method::POST,
            path: "/a".to_owned(),
            bearer: None,
            idempotency_key: Some("k".to_owned()),
            body: Bytes::new(),
        };
        let first = ledger.append("a", "m1".to_owned(), 1, request, &reply(Class::Unknown));
        assert_eq!(ledger.unknown(), [first]);
        let second = ledger.append_repeat(first, 1, &reply(Class::Acknowledged));
        let records = ledger.records();
        assert_eq!(records[second].repeats, Some(first));
        assert_eq!(records[second].idempotency_key.as_deref(), Some("k"));
        assert_eq!(records[first].class, Class::Unknown, "nothing is ever changed");
        assert!(ledger.unknown().is_empty(), "the repeat settled it");
    }
}
