//! The file of spans and the way back into it.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::Deserialize;

use super::{
    id::TraceId,
    index::{Index, Place},
    span::Span,
};

/// Every span that was acknowledged, of which the last million are found again. Its functions block.
pub struct Spans {
    reader: File,
    written: Mutex<Written>,
}

struct Written {
    file: File,
    /// Where the next line begins.
    end: u64,
    /// An append failed and may have left the beginning of its lines.
    torn: bool,
    index: Index,
}

impl Spans {
    /// How many spans are found again; the file keeps all.
    const FOUND_AGAIN: usize = 1_000_000;

    /// Goes on with the file that is there; a last line that was cut off is removed.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::options().create(true).append(true).open(path)?;
        let reader = File::open(path)?;
        let mut index = Index::new(Self::FOUND_AGAIN);
        let end = scan(&reader, &mut index)?;
        file.set_len(end)?;
        Ok(Self { reader, written: Mutex::new(Written { file, end, torn: false, index }) })
    }

    /// Returns when the lines have been handed to the operating system: they outlive this process. When it
    /// fails, none of them was kept.
    pub fn append(&self, spans: &[Span]) -> io::Result<()> {
        let mut lines = Vec::new();
        let mut lengths = Vec::with_capacity(spans.len());
        for span in spans {
            let start = lines.len();
            serde_json::to_writer(&mut lines, span)?;
            lines.push(b'\n');
            lengths.push((span.trace_id, lines.len() - start));
        }
        self.written().append(&lines, &lengths)
    }

    /// The spans of a trace as they came; empty if it is not known. One that was exported twice is there once.
    pub fn trace(&self, trace: TraceId) -> io::Result<Vec<Span>> {
        let places = self.written().index.places(trace);
        let mut spans =
            places.into_iter().map(|at| self.read(at)).collect::<io::Result<Vec<_>>>()?;
        let mut seen = HashSet::new();
        spans.retain(|span| seen.insert(span.id));
        Ok(spans)
    }

    /// The traces that began to arrive last, the latest first.
    pub fn latest(&self, count: usize) -> Vec<TraceId> {
        self.written().index.latest(count)
    }

    fn read(&self, place: Place) -> io::Result<Span> {
        let mut line = vec![0; place.length as usize];
        self.reader.read_exact_at(&mut line, place.offset)?;
        Ok(serde_json::from_slice(&line)?)
    }

    /// A panic in another thread cannot have left it half changed: `end` and the index follow the write.
    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Written {
    fn append(&mut self, lines: &[u8], lengths: &[(TraceId, usize)]) -> io::Result<()> {
        if self.torn {
            self.file.set_len(self.end)?;
        }
        self.torn = true;
        self.file.write_all(lines)?;
        self.torn = false;
        for (trace, length) in lengths {
            self.index.add(*trace, place(self.end, *length)?);
            self.end += *length as u64;
        }
        Ok(())
    }
}

/// Finds the lines of a file and returns where the last whole one ends.
fn scan(file: &File, index: &mut Index) -> io::Result<u64> {
    #[derive(Deserialize)]
    struct Head {
        trace_id: TraceId,
    }
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    let mut end = 0;
    while reader.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
        if let Ok(head) = serde_json::from_slice::<Head>(&line) {
            index.add(head.trace_id, place(end, line.len())?);
        }
        end += line.len() as u64;
        line.clear();
    }
    Ok(end)
}

fn place(offset: u64, length: usize) -> io::Result<Place> {
    let length = u32::try_from(length).map_err(|_| io::ErrorKind::FileTooLarge)?;
    Ok(Place { offset, length })
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const TRACE: &[u8] = &[7; 16];

    fn trace() -> TraceId {
        TraceId::from_bytes(TRACE).expect("not all zero")
    }

    fn path() -> PathBuf {
        std::env::temp_dir().join(trellis_testkit::unique("spans"))
    }

    #[test]
    fn what_an_append_that_failed_left_behind_is_removed_before_the_next() {
        let path = path();
        std::fs::write(&path, "{\"cut o").expect("a file");
        let file = File::open(&path).expect("a file that cannot be written");
        let mut written = Written { file, end: 0, torn: false, index: Index::new(9) };
        written.append(b"one\n", &[(trace(), 4)]).expect_err("it cannot be written");
        assert_eq!(written.index.places(trace()), []);

        written.file = File::options().append(true).open(&path).expect("a file");
        written.append(b"two\nthree\n", &[(trace(), 4), (trace(), 6)]).expect("an append");
        assert_eq!(std::fs::read_to_string(&path).expect("a file"), "two\nthree\n");
        let places = [Place { offset: 0, length: 4 }, Place { offset: 4, length: 6 }];
        assert_eq!(written.index.places(trace()), places);
        std::fs::remove_file(path).expect("the file is ours");
    }
}
