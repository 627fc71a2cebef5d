//! Other processes' state that the controller asks for.

pub mod relay;
