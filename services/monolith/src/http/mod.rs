//! What every route shares: who calls, what is asked, how it is answered.

mod answer;
mod caller;
mod contract;
mod layers;
mod page;
mod time;

pub use answer::{Answer, Ended};
pub use caller::Caller;
pub use contract::Contract;
pub use layers::{BODY_LIMIT, around, drained, not_found};
pub use page::Page;
pub use time::timestamp;
