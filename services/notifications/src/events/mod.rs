//! What notifications hears of other capabilities, and what it tells them.

pub mod incoming;
pub mod outgoing;
