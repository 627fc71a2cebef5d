//! The local stack: ordinary processes on fixed ports, written down in `.ficus/stack.json`.
//!
//! [`programs`] says what there is, [`up`] starts it, [`down`] stops it by what [`file`] remembers.

pub mod down;
pub mod file;
pub mod health;
pub mod logs;
pub mod memory;
pub mod process;
pub mod programs;
pub mod ps;
pub mod root;
pub mod up;

pub use file::{Entry, Stack};
pub use root::Root;
