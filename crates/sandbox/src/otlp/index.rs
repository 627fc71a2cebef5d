//! Which lines of the file make up a trace. Of a span it holds 16 bytes, so that a million cost 16 MB.

use std::collections::{HashMap, VecDeque};

use super::id::TraceId;

/// A line of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    pub offset: u64,
    pub length: u32,
}

/// At most so many spans; the traces that began to arrive first are dropped whole.
pub struct Index {
    traces: HashMap<TraceId, Vec<Place>>,
    /// The oldest first.
    order: VecDeque<TraceId>,
    spans: usize,
    limit: usize,
}

impl Index {
    pub fn new(limit: usize) -> Self {
        Self { traces: HashMap::new(), order: VecDeque::new(), spans: 0, limit }
    }

    pub fn add(&mut self, trace: TraceId, place: Place) {
        let places = self.traces.entry(trace).or_default();
        if places.is_empty() {
            self.order.push_back(trace);
        }
        places.push(place);
        self.spans += 1;
        while self.spans > self.limit {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let oldest = self.order.pop_front().and_then(|trace| self.traces.remove(&trace));
        self.spans -= oldest.map_or(0, |places| places.len());
    }

    /// Empty if the trace is not known.
    pub fn places(&self, trace: TraceId) -> Vec<Place> {
        self.traces.get(&trace).cloned().unwrap_or_default()
    }

    /// The traces that began to arrive last, the latest first.
    pub fn latest(&self, count: usize) -> Vec<TraceId> {
        self.order.iter().rev().take(count).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(n: u8) -> TraceId {
        TraceId::from_bytes(&[n; 16]).expect("not all zero")
    }

    fn place(offset: u64) -> Place {
        Place { offset, length: 1 }
    }

    #[test]
    fn the_oldest_traces_are_dropped_whole() {
        let mut index = Index::new(4);
        for (n, offset) in [(1, 0), (2, 1), (1, 2), (3, 3)] {
            index.add(trace(n), place(offset));
        }
        assert_eq!(index.places(trace(1)), [place(0), place(2)]);
        index.add(trace(3), place(4));
        assert_eq!(index.places(trace(1)), []);
        assert_eq!(index.places(trace(3)), [place(3), place(4)]);
        assert_eq!(index.latest(9), [trace(3), trace(2)]);
    }

    #[test]
    fn one_trace_without_end_does_not_grow_the_index() {
        let mut index = Index::new(4);
        for offset in 0..100 {
            index.add(trace(1), place(offset));
            assert!(index.places(trace(1)).len() <= 4);
        }
    }
}
