//! Other processes' state that the controller asks for.

pub mod process;
pub mod relay;
