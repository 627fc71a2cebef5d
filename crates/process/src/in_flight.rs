use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The ids of the rows that this process has claimed and still works on.
///
/// A claim lasts for a time by the database's clock. A process that stood still for longer finds its own claims run
/// out when it goes on, and would take the rows from itself; what is told here it leaves alone, and the renewal of
/// the claim comes in time.
#[derive(Clone, Debug, Default)]
pub struct InFlight(Arc<Mutex<HashSet<i64>>>);

impl InFlight {
    /// Counts the row in until what is answered is dropped.
    pub fn enter(&self, id: i64) -> Entry {
        self.change(|ids| ids.insert(id));
        Entry { id, in_flight: self.clone() }
    }

    /// The rows that are counted in, in no order.
    pub fn ids(&self) -> Vec<i64> {
        self.change(|ids| ids.iter().copied().collect())
    }

    fn change<T>(&self, change: impl FnOnce(&mut HashSet<i64>) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// One row that is worked on.
#[derive(Debug)]
#[must_use = "the row is worked on for as long as this lives"]
pub struct Entry {
    id: i64,
    in_flight: InFlight,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.in_flight.change(|ids| ids.remove(&self.id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_counted_in_until_its_entry_is_dropped() {
        let in_flight = InFlight::default();
        let (seven, eight) = (in_flight.enter(7), in_flight.enter(8));
        let mut ids = in_flight.ids();
        ids.sort_unstable();
        assert_eq!(ids, [7, 8]);
        drop(seven);
        assert_eq!(in_flight.ids(), [8]);
        drop(eight);
        assert!(in_flight.ids().is_empty());
    }
}
