//! A write that was answered is not done again: the key that the caller gave it and the answer are
//! committed with the write, in a table of the write's capability.

mod attempt;
mod key;
mod store;

pub use attempt::Attempt;
pub use key::Key;
pub use store::{Capability, Write, Writes, reused};
