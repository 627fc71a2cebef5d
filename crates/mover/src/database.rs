//! One side's pools.

#[derive(Debug)]
pub(crate) struct Database {}
