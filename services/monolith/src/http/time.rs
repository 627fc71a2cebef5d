//! Times of the database, which are UTC without saying so, as the contract's.

use chrono::NaiveDateTime;
use prost_types::Timestamp;

/// The same time, to the microsecond.
pub fn timestamp(time: NaiveDateTime) -> Timestamp {
    let time = time.and_utc();
    let nanos = i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default();
    Timestamp { seconds: time.timestamp(), nanos }
}
